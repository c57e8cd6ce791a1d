import { expect, test } from "vitest";
import { added, KEEP_MAX, restore, settle, shown, SHOWN, STALE_MS, timed, type Pending } from "./commands";
import { hold, reuse, signalClass, sortIncidents, sortSignals } from "./order";
import { age, clock, stamp } from "./time";
import type { Incident, Signal } from "./types";
import { uuid7 } from "./uuid";

const signal = (seq: number, state: string, ...classes: string[]) => ({ id: `s${seq}`, seq, state, alarms: classes.map((each) => ({ class: each })) }) as unknown as Signal;

test("unanswered first, urgent first, oldest first; of the ended ones the last first", () => {
  const all = [
    signal(1, "ended", "life"), signal(2, "answered", "life"), signal(3, "ringing", "check"), signal(4, "ringing", "life"),
    signal(5, "ringing", "note", "life"), signal(6, "ended", "life"),
  ];
  expect(sortSignals(all).map((each) => each.seq)).toEqual([4, 5, 3, 2, 6, 1]);
  expect(signalClass(signal(7, "ringing", "note", "check", "fault"))).toBe("check");
  expect(signalClass(signal(8, "ringing")), "a signal that says nothing is urgent").toBe("life");
});

test("open incidents oldest first, then closed ones newest first, by number and not by text", () => {
  const incident = (id: string, state: string) => ({ id, state }) as unknown as Incident;
  const all = [incident("i100", "open"), incident("i9", "open"), incident("i8", "closed"), incident("i20", "closed")];
  expect(sortIncidents(all).map((each) => each.id)).toEqual(["i9", "i100", "i20", "i8"]);
});

test("under the hand rows keep their places and new ones come after them", () => {
  expect(hold(["a", "b"], ["c", "a", "b"])).toEqual({ ids: ["a", "b", "c"], changes: 3 });
  expect(hold(["a", "b", "c"], ["a", "c"])).toEqual({ ids: ["a", "c"], changes: 0 });
  expect(hold([], ["a"])).toEqual({ ids: ["a"], changes: 0 });
});

test("times are Japan's, whatever the seat's zone", () => {
  expect(stamp("2026-11-23T15:07:42.123456Z")).toBe("2026-11-24 00:07:42");
  expect(clock("2026-11-23T05:07:42Z")).toBe("14:07:42");
  expect(clock(null)).toBe("");
});

test("ages grow in words a person can read", () => {
  const now = Date.parse("2026-11-23T05:07:42Z");
  expect(age("2026-11-23T05:07:31Z", now)).toBe("0:11");
  expect(age("2026-11-23T04:07:31Z", now)).toBe("1:00:11");
  expect(age("2026-11-20T01:07:42Z", now)).toBe("3d 4h");
  expect(age("2026-11-23T05:08:42Z", now), "a clock that is ahead counts as now").toBe("0:00");
});

test("a command's id is a UUID of version 7 and sorts by time", () => {
  const [one, two] = [uuid7(1_795_410_462_000), uuid7(1_795_410_462_001)];
  expect(one).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  expect(one < two).toBe(true);
  expect(new Set(Array.from({ length: 1000 }, () => uuid7(1))).size).toBe(1000);
});

test("only an answer ends a command; everything else is asked again with the same id", () => {
  expect(settle(200, { seq: 7 })).toEqual({ state: "done", seq: 7 });
  expect(settle(409, { refused: { code: "already_ended", message: "over" } })).toEqual({ state: "refused", code: "already_ended", what: "over" });
  expect(settle(403, { refused: { code: "forbidden", message: "no" } })?.state).toBe("refused");
  expect(settle(400, { error: { code: "malformed", what: "w", where: "here", how: "h" } })?.what).toBe("w (here): h");
  for (const status of [401, 408, 429, 500, 502, 503]) expect(settle(status, null), String(status)).toBeUndefined();
  expect(settle(200, null), "a proxy's page is no answer").toBeUndefined();
});

test("what was under way survives a reload, but an old command waits for a person", () => {
  const entry = (made: number, state: Pending["state"]) => ({ id: String(made), made, state }) as Pending;
  const now = 1_000_000;
  const kept = restore(JSON.stringify([entry(now - 1, "sending"), entry(now - STALE_MS - 1, "sending"), entry(now, "done")]), now);
  expect(kept.map((each) => each.state)).toEqual(["sending", "unsent"]);
  expect(restore("{broken", now)).toEqual([]);
  expect(restore(null, now)).toEqual([]);
});

test("only answered commands make room, and what came to nothing stays in sight", () => {
  const entry = (id: number, state: Pending["state"], user = "sato") => ({ id: String(id), state, user }) as Pending;
  const full = Array.from({ length: KEEP_MAX }, (_, id) => entry(id, id === 0 || id > 3 ? "sending" : "done"));
  const more = added(full, entry(99, "sending"));
  expect(more.length).toBe(KEEP_MAX);
  expect(more.map((each) => each.id).slice(0, 3), "the oldest answered one went").toEqual(["0", "2", "3"]);
  const busy = full.map((each) => ({ ...each, state: "sending" as const }));
  expect(added(busy, entry(99, "sending")).length, "nothing that is not answered goes").toBe(KEEP_MAX + 1);
  expect(added(full.slice(1), entry(99, "sending")).length).toBe(KEEP_MAX);
  const several = [entry(1, "refused"), entry(2, "unsent"), entry(3, "done"), ...Array.from({ length: SHOWN }, (_, id) => entry(10 + id, "sending"))];
  expect(shown(several, "sato").map((each) => each.id)).toEqual(["1", "2", "10", "11", "12", "13"]);
  expect(shown(several, "suzuki")).toEqual([]);
});

test("a status that is said while the link is lost carries the time it was said", () => {
  const said = Date.parse("2026-11-23T05:07:42.500Z");
  const body = { unit: "平1", status: "OS", at: null, incident: null };
  expect(timed("UnitStatus", body, said)).toEqual({ ...body, at: "2026-11-23T05:07:42.500Z" });
  expect(timed("UnitStatus", body, null), "the core's own clock is the better one").toEqual(body);
  expect(timed("UnitStatus", { ...body, at: "2026-11-23T05:05:00.000Z" }, said).at).toBe("2026-11-23T05:05:00.000Z");
  expect(timed("UnitStatus", { ...body, corrects: 42 }, said).at).toBeNull();
  expect(timed("AddNote", { incident: "i1", text: "x" }, said)).toEqual({ incident: "i1", text: "x" });
});

test("an unchanged row stays the same object, a changed one does not", () => {
  const old = [{ id: "a", n: 1 }, { id: "b", n: 1 }];
  const fresh = [{ id: "b", n: 2 }, { id: "a", n: 1 }, { id: "c", n: 1 }];
  const both = reuse(old, fresh);
  expect(both).toEqual(fresh);
  expect(both[1]).toBe(old[0]);
  expect(both[0]).not.toBe(old[1]);
});
