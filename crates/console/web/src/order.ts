// The order of the lists. Pure, so that it can be tested: who is on top decides who is helped first.
import type { Incident, Notice, Signal } from "./types";

/** A call that rings stands above all else, then one whose caller gave up, then the other signals. */
function stateRank({ kind, state }: Signal): number {
  const ranks: Record<string, number> = { ringing: kind === "call" ? 0 : 2, abandoned: 1, answered: 3, ended: 4 };
  return ranks[state] ?? 9;
}
const classRank: Record<string, number> = { life: 0, check: 1, fault: 2, note: 3, test: 4 };

/** The most urgent class among what a signal says. */
export function signalClass(signal: Signal): string {
  const all = signal.alarms.map((alarm) => alarm.class);
  return all.sort((a, b) => (classRank[a] ?? 9) - (classRank[b] ?? 9))[0] ?? "life";
}

/** Whether nobody has seen to it yet: it rings, or the caller gave up and was not reached since. */
export function isUnanswered({ state, call }: Signal): boolean {
  return state === "ringing" || (state === "abandoned" && !call?.callbacks.some((each) => each.outcome === "reached"));
}

/** Unanswered first (calls above all), then in hand, then ended; urgent before less urgent; oldest
 * first, but of the ended ones the last one first. */
export function sortSignals(signals: readonly Signal[]): Signal[] {
  return [...signals].sort((a, b) => {
    const byState = stateRank(a) - stateRank(b);
    if (byState) return byState;
    if (a.state === "ended") return b.seq - a.seq;
    return (classRank[signalClass(a)] ?? 9) - (classRank[signalClass(b)] ?? 9) || a.seq - b.seq;
  });
}

/** Open ones first, the oldest on top; then closed ones, the last on top. */
export function sortIncidents(incidents: readonly Incident[]): Incident[] {
  const number = (incident: Incident) => Number(incident.id.slice(1));
  return [...incidents].sort((a, b) => {
    if (a.state !== b.state) return a.state === "open" ? -1 : 1;
    return a.state === "open" ? number(a) - number(b) : number(b) - number(a);
  });
}

/** What to draw while a person is in the list: known rows keep their places, new ones come after
 * them. `changes` counts the rows that stand elsewhere than the rule wants. */
export function hold(shown: readonly string[], wanted: readonly string[]): { ids: string[]; changes: number } {
  const all = new Set(wanted);
  const still = shown.filter((id) => all.has(id));
  const old = new Set(still);
  const ids = [...still, ...wanted.filter((id) => !old.has(id))];
  const changes = ids.filter((id, place) => wanted[place] !== id).length;
  return { ids, changes };
}

/** Notices about a signal, the first one first. */
export function noticesOf(signal: Signal, notices: readonly Notice[]): Notice[] {
  if (!signal.notices.length) return [];
  return signal.notices.map((id) => notices.find((notice) => notice.id === id)).filter((each) => !!each);
}

/** Takes the old object for each one that did not change, so that only changed rows are drawn. */
export function reuse<Each extends { id: string }>(old: readonly Each[], fresh: readonly Each[]): Each[] {
  const known = new Map(old.map((each) => [each.id, each]));
  return fresh.map((each) => {
    const before = known.get(each.id);
    return before && JSON.stringify(before) === JSON.stringify(each) ? before : each;
  });
}
