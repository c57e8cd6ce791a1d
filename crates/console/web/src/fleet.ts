// Units (隊): codes, the moves a person may make, and the board's fixed places. Pure.
import type { Assignment, Incident, Unit } from "./types";

/** A status on the way, in the order of the work. `IN` ends it, `CX` takes it back. */
export const STATUSES = ["AL", "AK", "ER", "OS", "WK", "TR", "HP", "RT", "IN", "CX"] as const;
export const AVAILABILITIES = ["AV", "AD", "OO", "OF"] as const;
/** Why a unit cannot go. */
export const OUT_REASONS = ["maintenance", "crew", "training", "reassigned"] as const;

/** What a status is drawn as: a shape beside the colour and the code. Only signs that each Japanese
 * font has. */
export const SHAPES: Record<string, string> = {
  AL: "□", AK: "■", ER: "→", OS: "●", WK: "◎", TR: "↑", HP: "＋", RT: "←", IN: "■", CX: "×", AV: "■", AD: "▲", OO: "／", OF: "－",
};

/** The code that stands for a unit: what it does, or whether it may be used. */
export function code(unit: Unit): string {
  return unit.status ?? unit.availability;
}

/** Statuses a unit may come to now. Any step may be skipped forward. */
export function moves(unit: Unit): string[] {
  const now = unit.status;
  if (!now) return [];
  const at = STATUSES.indexOf(now as (typeof STATUSES)[number]);
  if (at < 0) return [];
  const forward: string[] = STATUSES.slice(at + 1, STATUSES.indexOf("CX"));
  if (["AL", "AK", "ER"].includes(now)) return [...forward, "CX"];
  return now === "RT" ? [...forward, "OS"] : forward;
}

/** The board: stations and their units in the order of the register. A unit never changes its place. */
export function board(units: readonly Unit[]): { station: string; units: Unit[] }[] {
  const stations = new Map<string, Unit[]>();
  for (const unit of units) stations.set(unit.station, [...(stations.get(unit.station) ?? []), unit]);
  return [...stations].map(([station, all]) => ({ station, units: all }));
}

/** How many of each: ready, out, not usable. */
export function tally(units: readonly Unit[]): { ready: number; out: number; unusable: number } {
  let [ready, out, unusable] = [0, 0, 0];
  for (const unit of units) {
    if (unit.status) out += 1;
    else if (unit.availability === "AV" || unit.availability === "AD") ready += 1;
    else unusable += 1;
  }
  return { ready, out, unusable };
}

/** When the first unit of an incident was ordered, left and arrived, as words of its time line. */
export function firsts(assignments: readonly Assignment[]): Record<string, string> {
  const found: Record<string, string> = {};
  for (const [word, status] of [["ordered", "AL"], ["en_route", "ER"], ["on_scene", "OS"]] as const) {
    // As times, since only some of them have fractions of a second.
    const [first] = assignments.flatMap(({ times }) => times[status] ?? []).sort((a, b) => Date.parse(a) - Date.parse(b));
    if (first) found[word] = first;
  }
  return found;
}

/** Words of an incident's time line in the order of the work. */
const TIMES = ["received", "answered", "place_set", "kind_set", "ordered", "en_route", "on_scene"];

/** An incident's time line: what happened, in the order of the work, whichever clock was ahead. */
export function timeLine({ times, assignments }: Pick<Incident, "times" | "assignments">): [word: string, at: string][] {
  const all: Record<string, string> = { ...times, ...firsts(assignments) };
  return TIMES.flatMap((word) => (all[word] ? [[word, all[word]]] : []));
}
