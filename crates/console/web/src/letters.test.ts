import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { asks, body, correcting, EMPTY, faults, groupsFor, LETTER_KINDS, letters, lettersOf, MAIL, mayPublish, mayReplace, NOT_PUBLIC, onPhone, reached, recipientsOf, SEVERITIES, sortRecipients, standing, type Written } from "./letters";
import type { Group, Incident, Notice, Recipient } from "./types";

const groups: Group[] = [
  { key: "dan-2-3", name: "第二支団 第3分団", members: 71, count: 70, senders: ["dispatcher", "supervisor"] },
  { key: "dan-all", name: "団 全員", members: 3_114, count: 3_110, senders: ["supervisor"] },
];
const outcomes = { queued: 5, accepted: 60, uncertain: 2, failed: 3, stopped: 0 };
const notice = (id: string, letter: object | null, more: object = {}): Notice => ({
  id, state: "sent", outcomes, ordered_at: "2026-11-23T05:00:00Z", expires_at: "2026-11-23T06:30:00Z",
  letter: letter && { group: "dan-2-3", kind: "call_out", drill: false, subject: "建物火災", text: "集合: 詰所", ...letter }, ...more,
}) as unknown as Notice;
const written: Written = { ...EMPTY, group: "dan-2-3", kind: "call_out", subject: " 小名浜 建物火災 ", text: "集合: 詰所\n道具: 可搬ポンプ\n", minutes: "60" };
const open = { ...NOT_PUBLIC, on: "yes", headline: "火災", text: "延焼のおそれ", districts: "2,3", severity: "severe" };

test("only groups that this role may send to are offered", () => {
  expect(groupsFor("dispatcher", groups).map((each) => each.key)).toEqual(["dan-2-3"]);
  expect(groupsFor("supervisor", groups).length).toBe(2);
  expect(groupsFor("viewer", groups)).toEqual([]);
  expect(groupsFor(undefined, groups)).toEqual([]);
  expect(["dispatcher", "supervisor", "disaster_manager", "viewer"].map(mayPublish)).toEqual([false, true, true, false]);
});

test("what is missing is said in the order of the form", () => {
  expect(faults({ ...EMPTY, minutes: "0" }, { ...NOT_PUBLIC })).toEqual(["group", "kind", "subject", "text", "minutes", "public.headline", "public.text", "public.districts", "public.severity"]);
  expect(faults(written, open)).toEqual([]);
  expect(faults({ ...written, subject: "火".repeat(67) }, null), "201 bytes").toEqual(["subject"]);
  expect(faults({ ...written, text: "火".repeat(666) }, null), "1,998 bytes").toEqual([]);
  expect(faults({ ...written, text: "火".repeat(667) }, null)).toEqual(["text"]);
  for (const minutes of ["1441", "-1", "1.5", "一"]) expect(faults({ ...written, minutes }, null), minutes).toEqual(["minutes"]);
  expect(faults({ ...written, minutes: "" }, null), "left empty it is the usual time").toEqual([]);
});

test("a first notice names the count its sender was shown, one that replaces another names none", () => {
  expect(body(written, null, true, 70, null)).toEqual({
    group: "dan-2-3", kind: "call_out", drill: true, subject: "小名浜 建物火災", text: "集合: 詰所\n道具: 可搬ポンプ", incident: null, replaces: null, replacing: null, count: 70, minutes: 60, public: null,
  });
  const second = body({ ...written, incident: "i9" }, open, false, 70, { notice: "n5", how: "correction" });
  expect(second).toMatchObject({ replaces: "n5", replacing: "correction", count: null, incident: "i9", public: { headline: "火災", text: "延焼のおそれ", districts: [2, 3], severity: "severe" } });
});

test("a correction begins with what stood before, its public text too", () => {
  const first = notice("n5", { incident: "i9", public: { headline: "火災", text: "煙", districts: [2, 13], severity: "minor" } });
  expect(correcting(first)).toEqual({
    written: { group: "dan-2-3", kind: "call_out", incident: "i9", subject: "建物火災", text: "集合: 詰所", minutes: "90" },
    open: { on: "yes", headline: "火災", text: "煙", districts: "2,13", severity: "minor" },
  });
  expect(correcting(notice("n5", {})).open).toBeNull();
  expect(recipientsOf(first)).toBe(70);
  expect(reached(first)).toEqual({ may: 62, waiting: 5 });
});

test("a replaced notice says how it was replaced before all else", () => {
  const all = [
    notice("n1", { replaced_by: "n3" }), notice("n2", { replaced_by: "n4" }), notice("n3", { replaces: "n1", replacing: "correction" }),
    notice("n4", { replaces: "n2", replacing: "withdrawal" }, { state: "sending" }), notice("n5", {}, { state: "expired" }), notice("n10", null),
  ];
  expect(all.slice(0, 5).map((each) => standing(each, all))).toEqual(["corrected", "withdrawn", "sent", "sending", "expired"]);
  expect(letters(all).map((each) => each.id), "newest first, only those of people").toEqual(["n5", "n4", "n3", "n2", "n1"]);
  expect(all.map((each) => mayReplace(each, "dispatcher", groups))).toEqual([false, false, true, false, true, false]);
  expect(mayReplace(notice("n6", { group: "dan-all" }), "dispatcher", groups), "not of a group that this role may not send to").toBe(false);
  expect(mayReplace(notice("n6", { group: "gone" }), "supervisor", groups)).toBe(false);
  const incident = { id: "i9" } as Incident;
  expect(lettersOf(incident, [notice("n7", { incident: "i9" }), notice("n8", { incident: "i10" }), notice("n9", { incident: "i9" })]).map((each) => each.id)).toEqual(["n9", "n7"]);
});

test("who answered stands first, who comes before who does not, and trouble before silence", () => {
  const one = (name: string, answer: string | null, minutes: number | null = null, mail = "accepted") => ({ name, answer, minutes, mail }) as unknown as Recipient;
  const all = [one("a", null), one("b", "cannot"), one("c", "late", 30), one("d", null, null, "failed"), one("e", "coming", null, "uncertain"), one("f", "late", 10), one("g", "arrived"), one("h", null, null, "uncertain")];
  expect(sortRecipients(all).map((each) => each.name).join("")).toBe("gefcbdha");
});

test("the preview is what the phone gets", () => {
  const around = { mode: "demo", headquarters: "ハンショウ市消防本部(架空)", drill: true, replaces: { notice: "n5", how: "correction" as const } };
  const phone = onPhone(written, around);
  expect(phone.subject).toBe("【デモ・実際の災害ではありません】【訓練】【訂正】【出動指令】小名浜 建物火災【訓練】");
  expect(phone.lines.slice(0, 5)).toEqual(["【デモ・実際の災害ではありません】", "【訓練】", "先にお送りした内容を訂正します。こちらが正しい内容です。", "ハンショウ市消防本部(架空)です。", "集合: 詰所"]);
  expect(onPhone(written, { ...around, mode: "real", drill: false, replaces: null }).subject).toBe("【出動指令】小名浜 建物火災");
});

test("the words around it are those of the mails, and the lists are those of the core", () => {
  const mails = readFileSync("../../alerts/texts/ja.toml", "utf8").split("[letter]")[1]?.split("\n[")[0] ?? "";
  const word = (key: string) => new RegExp(`^${key} = "(.*)"$`, "m").exec(mails)?.[1];
  for (const kind of LETTER_KINDS) expect(word(`subject_${kind}`)).toBe(`${MAIL.subject[kind]}{subject}`);
  for (const how of ["correction", "withdrawal"] as const) expect([word(`subject_${how}`), word(how)]).toEqual([MAIL.replacing[how], MAIL.said[how]]);
  expect(word("greeting")).toBe(`{headquarters}${MAIL.greeting}`);
  const code = readFileSync("../../alerts/src/texts.rs", "utf8");
  for (const mark of [MAIL.demo, MAIL.drill]) expect(code).toContain(`"${mark}"`);
  const core = readFileSync("../../model/src/notice.rs", "utf8");
  const list = (name: string) => [...(new RegExp(`^    ${name} \\{([\\s\\S]*?)^    \\}`, "m").exec(core)?.[1] ?? "").matchAll(/= "(\w+)"/g)].map((match) => match[1]);
  expect(list("NoticeKind")).toEqual([...LETTER_KINDS]);
  expect(list("Severity")).toEqual([...SEVERITIES]);
  expect(LETTER_KINDS.filter(asks)).toEqual(["call_out", "muster", "search"]);
});
