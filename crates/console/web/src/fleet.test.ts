import { expect, test } from "vitest";
import { board, code, firsts, moves, SHAPES, STATUSES, tally, timeLine, AVAILABILITIES } from "./fleet";
import type { Assignment, Signal, Unit } from "./types";
import { hasPoint, nearby, spots, words } from "./whereabouts";
import { phone } from "./phone";
import { isUnanswered, sortSignals } from "./order";

const unit = (id: string, more: Partial<Unit> = {}) => ({ id, station: "平", kind: "TANK", availability: "AV", assignment: null, status: null, ...more }) as Unit;
const out = (status: string) => unit("平1", { assignment: "i1", status });

test("a step may be skipped, a crew is cancelled only before it arrives, a returning one is called back", () => {
  expect(moves(unit("平1"))).toEqual([]);
  expect(moves(out("AL"))).toEqual(["AK", "ER", "OS", "WK", "TR", "HP", "RT", "IN", "CX"]);
  expect(moves(out("ER"))).toContain("CX");
  expect(moves(out("OS"))).toEqual(["WK", "TR", "HP", "RT", "IN"]);
  expect(moves(out("RT"))).toEqual(["IN", "OS"]);
});

test("what a unit does goes before whether it may be used", () => {
  expect(code(unit("平1"))).toBe("AV");
  expect(code(out("OS"))).toBe("OS");
  for (const each of [...STATUSES, ...AVAILABILITIES]) expect(SHAPES[each], each).toBeTruthy();
});

test("the board keeps the register's order, whatever the units do", () => {
  const all = [unit("平1"), unit("小名浜1", { station: "小名浜" }), out("OS"), unit("平救1", { availability: "OO" })];
  expect(board(all).map(({ station, units }) => `${station} ${units.map((each) => each.id).join(" ")}`)).toEqual(["平 平1 平1 平救1", "小名浜 小名浜1"]);
  expect(tally(all)).toEqual({ ready: 2, out: 1, unusable: 1 });
});

test("an incident's time line has the first of each, and nothing that was skipped", () => {
  const went = (times: Record<string, string>) => ({ unit: "平1", times }) as unknown as Assignment;
  const all = [went({ AL: "2026-11-23T05:02:25Z", OS: "2026-11-23T05:08:00Z" }), went({ AL: "2026-11-23T05:02:30Z", OS: "2026-11-23T05:06:58Z" }), went({ OS: "2026-11-23T05:06:58.5Z" })];
  expect(firsts(all)).toEqual({ ordered: "2026-11-23T05:02:25Z", on_scene: "2026-11-23T05:06:58Z" });
  const times = { answered: "2026-11-23T05:01:31Z", received: "2026-11-23T05:01:31.4Z", opened: "2026-11-23T05:02:00Z" };
  expect(timeLine({ times, assignments: all }).map(([word]) => word), "in the order of the work").toEqual(["received", "answered", "ordered", "on_scene"]);
});

const call = (seq: number, state: string, more: object = {}) => ({ id: `s${seq}`, seq, kind: "call", state, alarms: [], ...more }) as unknown as Signal;
const pendant = (seq: number, state: string) => ({ ...call(seq, state), kind: "pendant", alarms: [{ class: "life" }] }) as unknown as Signal;

test("a call that rings is above all, then one whose caller gave up, then other signals", () => {
  const all = [pendant(1, "ringing"), call(2, "answered"), call(3, "abandoned"), call(4, "ringing"), call(5, "ringing")];
  expect(sortSignals(all).map((each) => each.seq)).toEqual([4, 5, 3, 1, 2]);
  expect(isUnanswered(call(1, "abandoned", { call: { callbacks: [] } }))).toBe(true);
  expect(isUnanswered(call(1, "abandoned", { call: { callbacks: [{ outcome: "busy" }] } }))).toBe(true);
  expect(isUnanswered(call(1, "abandoned", { call: { callbacks: [{ outcome: "reached" }] } }))).toBe(false);
  expect(isUnanswered(call(1, "answered"))).toBe(false);
});

test("a caller's place is a circle with words, never a bare pin, and no place is no spot", () => {
  const location = { lat: 36.9755, lon: 140.8866, radius_m: 42, source: "value", marks: [] };
  expect(words(location)).toBe("小名浜住吉");
  expect(words({ ...location, civic: "小名浜住吉 12-3" })).toBe("小名浜住吉 12-3");
  expect(hasPoint({ lat: null, lon: null })).toBe(false);
  const all = [call(1, "ringing", { location }), call(2, "ringing", { location: { refused: "xml", marks: [] } }), call(3, "ended", { location })];
  expect(spots(all, [], [], () => "±42 m").map((each) => `${each.id} ${each.radius_m}`)).toEqual(["s1 42"]);
});

test("a unit whose place is only guessed does not look like one whose place is known", () => {
  const at = (guessed: boolean) => ({ ...out("ER"), position: { lat: 37, lon: 140.9, at: "2026-11-23T05:05:00Z", guessed } }) as Unit;
  const drawn = (unit: Unit) => spots([], [], [unit], () => "").map(({ look, label }) => `${look} | ${label}`);
  expect(drawn(at(true))).toEqual(["ER guessed | 平1 ?"]);
  expect(drawn(at(false))).toEqual(["ER | 平1"]);
});

test("numbers as they are written in Japan", () => {
  expect(phone("+819000000001")).toBe("090-0000-0001");
  expect(phone("+81246000001")).toBe("0246-00-0001");
  expect(phone("0120000001")).toBe("0120-000-001");
  expect(phone("+15550100")).toBe("+15550100");
  expect(phone("119")).toBe("119");
});

test("an incident that has a point alone is near the nearest name; what was said goes before it", () => {
  const place = { confirmed: false, lat: 36.9758, lon: 140.8861, radius_m: 21 };
  expect(nearby(place)).toBe("小名浜住吉");
  expect(nearby({ ...place, text: "住吉 12-3" })).toBeUndefined();
  expect(nearby({ ...place, district: 2 })).toBeUndefined();
  expect(nearby({ confirmed: false })).toBeUndefined();
});
