import { readFileSync, readdirSync } from "node:fs";
import { expect, test } from "vitest";
import en from "./texts/en.json";
import ja from "./texts/ja.json";

const texts: Record<string, Record<string, string>> = { ja, en };

test("both languages have the same keys, none of them empty", () => {
  expect(Object.keys(en).sort()).toEqual(Object.keys(ja).sort());
  for (const words of Object.values(texts)) expect(Object.values(words).filter((text) => !text.trim())).toEqual([]);
});

test("both languages fill in the same values", () => {
  const values = (text: string) => [...text.matchAll(/\{(\w+)\}/g)].map((match) => match[1]).sort();
  for (const [key, text] of Object.entries(ja)) expect(values((en as Record<string, string>)[key] ?? ""), key).toEqual(values(text));
});

test("each key that the page names has a text", () => {
  const files = ["src", "src/parts"].flatMap((folder) => readdirSync(folder).filter((name) => /\.(svelte|ts)$/.test(name) && !name.includes(".test.")).map((name) => `${folder}/${name}`));
  const missing = files.flatMap((file) => [...readFileSync(file, "utf8").matchAll(/\bt\("([^"]+)"/g)].map((match) => match[1] ?? "").filter((key) => !(key in ja)).map((key) => `${file}: ${key}`));
  expect(missing).toEqual([]);
});

// What the core may say is a closed list in Rust; the page must have a word for each.
test("each word of the core has a text", () => {
  const source = ["unit", "alarm", "call", "refusal", "command", "effect", "registry", "notice", "report"].map((name) => readFileSync(`../../model/src/${name}.rs`, "utf8")).join("\n");
  const words = (name: string) => {
    const body = new RegExp(`^    ${name} \\{([\\s\\S]*?)^    \\}`, "m").exec(source)?.[1] ?? "";
    return [...body.matchAll(/= "([\w:-]+)"/g)].map((match) => match[1] ?? "");
  };
  const lists: [string, string][] = [
    ["AlarmClass", "class"], ["AlarmKind", "alarm"], ["Phase", "phase"], ["IncidentKind", "kind"], ["SignalOutcome", "signal_outcome"],
    ["IncidentOutcome", "incident_outcome"], ["RefusalCode", "refusal"], ["Role", "role"], ["AnswerChoice", "answer"], ["Mode", "mode"],
    ["IncidentSubkind", "subkind"], ["CallBackOutcome", "callback"], ["CallEnd", "call.by"], ["LocationMark", "mark"], ["LocationFault", "fault"],
    ["UnitKind", "vehicle"], ["Ability", "ability"], ["Availability", "unit"], ["AvailabilityReason", "out"], ["UnitStatus", "unit"], ["AssignmentEnd", "ended"], ["Why", "why"],
    ["NoticeKind", "letter"], ["Replacing", "replacing"], ["Severity", "severity"], ["Deviation", "deviation"], ["Door", "door"],
  ];
  for (const [name, prefix] of lists) {
    const all = words(name);
    expect(all.length, name).toBeGreaterThan(1);
    // `out:crew` is a word and what it is about.
    for (const word of all) for (const part of word.split(":")) expect(Object.keys(ja), name).toContain(`${part === word || part === "out" ? prefix : "out"}.${part}`);
  }
});
