import { expect, test } from "vitest";
import { type Around, complete, parse, timeOf } from "./line";
import type { Incident, Signal, Unit } from "./types";

const unit = (id: string, more: Partial<Unit> = {}) => ({ id, station: "平", kind: "TANK", availability: "AV", assignment: null, status: null, ...more }) as Unit;
const incident = (id: string, number: string, more: Partial<Incident> = {}) => ({ id, number, state: "open", kind: "fire", units: [], assignments: [], place: { text: "小名浜住吉", confirmed: false }, ...more }) as unknown as Incident;

const around: Around = {
  units: [
    unit("平1"), unit("平2"), unit("平救1"), unit("平救2"), unit("小名浜1", { assignment: "i31", status: "AL" }), unit("小名浜2"),
    unit("小名浜救1", { assignment: "i31", status: "OS" }), unit("平はしご1", { availability: "OO" }), unit("常磐1", { assignment: "i31", status: "RT" }),
  ],
  incidents: [incident("i31", "1123-3", { units: ["小名浜1", "小名浜救1", "常磐1"] }), incident("i40", "1123-13"), incident("i9", "1122-5", { state: "closed" })],
  signals: [{ id: "s77", state: "answered", from: "+819000000001", incident: null } as unknown as Signal],
  // 14:10 in Japan.
  now: Date.parse("2026-11-23T05:10:00Z"),
};

/** One line for each case: state, key, and what would be sent. */
function run(text: string): string {
  const { state, key, choices, orders, deed } = parse(text, around);
  const sent = orders.map(({ kind, body }) => `${kind} ${Object.values(body).filter((value) => value !== null && value !== false).flat().join(" ")}`).join("; ");
  return [`${state} ${key}`, sent, deed ? `does ${deed.what}` : "", state !== "ready" && choices.length ? `[${choices.map((each) => each.value).join(" ")}]` : ""].filter(Boolean).join(" | ");
}

test("units are ordered: verb, units, incident", () => {
  expect(run("D 平1 3")).toBe("ready preview.D | OrderUnits i31 平1");
  expect(run("d 平1 平救1 #3")).toBe("ready preview.D | OrderUnits i31 平1 平救1");
  expect(run("出 平1、平2　3")).toBe("ready preview.D | OrderUnits i31 平1 平2");
  expect(run("D 平1 平1 3"), "named twice is ordered once").toBe("ready preview.D | OrderUnits i31 平1");
  expect(run("DV 常磐1 13"), "one that is out leaves its incident").toBe("ready preview.DV | OrderUnits i40 常磐1 true");
  expect(parse("D 平1 常磐1 3", around).values).toMatchObject({ before: 3, after: 4 });
});

test("full width, half width and hyphens are one", () => {
  expect(run("ｄ　平１　３")).toBe("ready preview.D | OrderUnits i31 平1");
  expect(run("Ｄ 小名浜２ ＃１１２３－３")).toBe("ready preview.D | OrderUnits i31 小名浜2");
  expect(run("D 平1 1123ー3")).toBe("ready preview.D | OrderUnits i31 平1");
});

test("what is missing is asked for, with choices", () => {
  expect(run("")).toBe("empty empty");
  expect(run("D")).toBe("typing unit.which | [平1 平2 平救1 平救2 小名浜2]");
  expect(run("D 平1")).toBe("typing incident.which | [1123-3 1123-13]");
  expect(run("CL 3")).toContain("typing outcome.which");
  expect(run("NT 3 ")).toBe("typing text.which");
  expect(run("OO 平1")).toBe("typing reason.which | [整備 乗員不足 訓練 転用]");
  expect(run("AD 平1")).toBe("typing minutes.which");
});

test("an ambiguous word never guesses", () => {
  expect(run("D 平救 3")).toBe("typing unit.many | [平救1 平救2]");
  expect(run("D 平は 3"), "an unambiguous beginning is enough").toBe("wrong unit.out");
  expect(run("D 小名浜救 13")).toBe("ready preview.D | OrderUnits i40 小名浜救1");
  expect(run("NT 23 x")).toBe("wrong incident.none | [1123-3 1123-13]");
  const two = { ...around, incidents: [incident("i1", "1122-3"), incident("i2", "1123-3")] };
  expect(parse("RE 3", two)).toMatchObject({ state: "typing", key: "incident.many" });
});

test("what cannot be is said at its place", () => {
  expect(run("D 平9 3")).toBe("wrong unit.none");
  expect(run("D 平1 99")).toBe("wrong incident.none | [1123-3 1123-13]");
  expect(run("D 平1 3 4")).toBe("wrong extra");
  expect(run("ZZ 平1")).toBe("wrong verb.none");
  expect(run("O")).toBe("typing verb.none | [OK OS OO OF]");
  expect(run("AK 平1")).toBe("wrong unit.free");
  expect(run("AK 小名浜救1"), "backward needs a time").toBe("wrong move");
});

test("statuses of several units at once, and of the past", () => {
  expect(run("AK 小名浜1")).toBe("ready preview.status | UnitStatus 小名浜1 AK");
  expect(run("現着 小名浜1"), "steps may be skipped").toBe("ready preview.status | UnitStatus 小名浜1 OS");
  expect(run("引揚 小名浜1 小名浜救1 3")).toBe("ready preview.status | UnitStatus 小名浜1 RT i31; UnitStatus 小名浜救1 RT i31");
  expect(run("OS 小名浜1 @14:05")).toBe("ready preview.status.at | UnitStatus 小名浜1 OS 2026-11-23T05:05:00.000Z");
  expect(run("OS 常磐1"), "called back").toBe("ready preview.status | UnitStatus 常磐1 OS");
  expect(run("IN 常磐1")).toBe("ready preview.status | UnitStatus 常磐1 IN");
  expect(run("CX 小名浜救1"), "not after arrival").toBe("wrong move");
  expect(run("OS 小名浜1 @25:00")).toBe("typing time.wrong");
});

test("a wrong status is corrected by a new one that names it", () => {
  const presses = [{ seq: 41, status: "AK" }, { seq: 42, status: "OS" }, { seq: 43, status: "WK", corrected_by: 44 }];
  const corrected = { ...around, incidents: [incident("i31", "1123-3", { assignments: [{ unit: "小名浜救1", presses }] } as unknown as Partial<Incident>)] };
  expect(parse("ER! 小名浜救1", corrected)).toMatchObject({ state: "ready", orders: [{ body: { status: "ER", corrects: 42 } }] });
  expect(parse("出動！ 小名浜救1", corrected).state).toBe("ready");
  expect(parse("ER! 小名浜1", corrected)).toMatchObject({ state: "wrong", key: "nothing.said" });
  expect(run("D! 平1 3")).toContain("wrong verb.none");
});

test("a time that is still to come was yesterday", () => {
  expect(timeOf("@1405", around.now)).toBe("2026-11-23T05:05:00.000Z");
  expect(timeOf("@23:59", around.now)).toBe("2026-11-22T14:59:00.000Z");
  expect(timeOf("@14:10:30", around.now), "our clocks differ a little").toBe("2026-11-23T05:10:30.000Z");
  expect(timeOf("@0:60", around.now)).toBeUndefined();
});

test("availability with its reason", () => {
  expect(run("OO 平1 整備")).toBe("ready preview.availability | SetAvailability 平1 OO maintenance");
  expect(run("不 平1 平2 training")).toBe("ready preview.availability | SetAvailability 平1 OO training; SetAvailability 平2 OO training");
  expect(run("AV 平はしご1")).toBe("ready preview.availability | SetAvailability 平はしご1 AV");
  expect(run("AD 平1 10 訓練")).toBe("ready preview.availability | SetAvailability 平1 AD training 10");
});

test("a note keeps its text as typed", () => {
  expect(run("NT 3 ２階から煙、逃げ遅れ１名。")).toBe("ready preview.NT | AddNote i31 ２階から煙、逃げ遅れ１名。");
  expect(run("記 5 あとから")).toBe("ready preview.NT | AddNote i9 あとから");
});

test("closing by digit, code or words", () => {
  expect(run("CL 3 1")).toBe("ready preview.CL | CloseIncident i31 handled");
  expect(run("終 3 誤報 揚げ物の煙")).toBe("ready preview.CL | CloseIncident i31 false_alarm 揚げ物の煙");
  expect(run("cl 3 false")).toBe("ready preview.CL | CloseIncident i31 false_alarm");
  expect(run("CL 3 zz")).toContain("wrong outcome.none");
});

test("releasing is a cancellation before arrival and a return afterwards", () => {
  expect(run("C 小名浜1 小名浜救1")).toBe("ready preview.C | UnitStatus 小名浜1 CX; UnitStatus 小名浜救1 RT");
  expect(run("C 平1")).toBe("wrong unit.free");
});

test("kind, place, join, and what the page does by itself", () => {
  expect(run("K 3 救急 cpa")).toBe("ready preview.K | SetKind i31 ems cpa");
  expect(run("K 3 火災 ガス")).toBe("wrong kind.none | [建物 林野 車両 船舶 自火報]");
  expect(run("L 3 小名浜住吉 12-3")).toBe("ready preview.L | SetPlace i31 小名浜住吉 12-3 2 36.9758 140.8861 800 true");
  expect(run("L 3 どこか")).toBe("ready preview.L.words | SetPlace i31 どこか");
  expect(run("J 77 3")).toBe("ready preview.J | JoinSignal s77 i31");
  expect(run("A")).toBe("ready preview.A | does answer");
  expect(run("認")).toBe("ready preview.A | does answer");
  expect(run("RE 3")).toBe("ready preview.RE | does recommend");
  expect(run("可")).toBe("ready preview.OK | does accept");
  expect(run("G 薄磯")).toBe("ready preview.G | does map");
  expect(run("F 0001")).toBe("ready preview.F | does find");
});

/** The text after a choice was taken. */
function take(text: string, value: string): string {
  const { choices, instead } = parse(text, around);
  expect(choices.map((each) => each.value), text).toContain(value);
  return complete(text, value, instead ?? { start: 0, end: 0 });
}

test("completion puts the choice in place of the word it stands for", () => {
  expect(take("D 平救", "平救2")).toBe("D 平救2 ");
  expect(take("D 平救 ", "平救2")).toBe("D 平救2 ");
  expect(take("D ", "平1")).toBe("D 平1 ");
  expect(take("OO 平1 ", "整備")).toBe("OO 平1 整備 ");
  expect(take("D 平救 3", "平救2")).toBe("D 平救2 3");
  expect(take("D 平1、平救、平2 3", "平救1")).toBe("D 平1、平救1、平2 3");
  expect(take("OS 平救 @14:05", "平救1")).toBe("OS 平救1 @14:05");
  expect(take("NT 23 x", "1123-3")).toBe("NT 1123-3 x");
  expect(take("CL 3 zz 揚げ物", "誤報")).toBe("CL 3 誤報 揚げ物");
  expect(take("K 3 zz ガス", "火災")).toBe("K 3 火災 ガス");
  expect(take("K 3 火災 ガス", "建物")).toBe("K 3 火災 建物 ");
  expect(take("O 平1", "OS")).toBe("OS 平1");
});

test("a choice for the next word leaves the last one where it is", () => {
  expect(take("D", "平1")).toBe("D 平1 ");
  expect(take("D 平1", "1123-3")).toBe("D 平1 1123-3 ");
  expect(take("CL 3", "誤報")).toBe("CL 3 誤報 ");
});

test("any text at all is legal input", () => {
  for (const text of ["　", "@", "D @", "#", "D # #", "OS 平1 @", "CL #", "NT", "L 3 999,999", "\u0000", "🚒 平1", "D ".repeat(500)]) expect(() => parse(text, around), text).not.toThrow();
});
