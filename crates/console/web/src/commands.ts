// What becomes of a command on its way. Pure, so that it can be tested.

export interface Pending {
  id: string;
  kind: string;
  body: Record<string, unknown>;
  target: string;
  user: string;
  made: number;
  state: "sending" | "unsent" | "refused" | "done";
  /** When it was last sent; 0 when not yet. */
  sent: number;
  code?: string;
  what?: string;
  seq?: number;
}

/** How long until a command without an answer is called "not confirmed". */
export const CONFIRM_MS = 2_000;
/** Older ones are not sent by themselves after a reload: the world has moved on. */
export const STALE_MS = 300_000;
/** How long an answered command stays in the list. */
export const KEEP_MS = 15_000;
/** Commands kept, as long as answered ones can make room. */
export const KEEP_MAX = 50;
/** The last commands that are shown whatever became of them. */
export const SHOWN = 4;

/** The list with one more. Only answered ones make room, the oldest first: what is on its way or was
 * refused is somebody's business until a person has seen it. */
export function added(pending: readonly Pending[], entry: Pending): Pending[] {
  let spare = pending.length + 1 - KEEP_MAX;
  const kept = pending.filter((each) => each.state !== "done" || spare-- <= 0);
  return [...kept, entry];
}

/** What a person sees of his own: the last ones, and each that came to nothing. */
export function shown(pending: readonly Pending[], user: string | undefined): Pending[] {
  const own = pending.filter((each) => each.user === user);
  return own.filter((each, place) => place >= own.length - SHOWN || each.state === "refused" || each.state === "unsent");
}

/** A command's fields. `said` is the time of the core's clock when the link is lost, else `null`: a
 * status that goes out later then carries when it was said, unless it has a time or corrects one. */
export function timed(kind: string, body: Record<string, unknown>, said: number | null): Record<string, unknown> {
  if (said === null || kind !== "UnitStatus" || body.at || body.corrects) return body;
  return { ...body, at: new Date(said).toISOString() };
}

/** What was kept from before a reload. */
export function restore(text: string | null, now: number): Pending[] {
  try {
    const all = JSON.parse(text ?? "[]") as Pending[];
    return all
      .filter((each) => each.state === "sending" || each.state === "unsent")
      .map((each) => (now - each.made > STALE_MS ? { ...each, state: "unsent" as const } : each));
  } catch {
    return [];
  }
}

/** What an answer makes of a command; `undefined` means: send it again. */
export function settle(status: number, answer: unknown): Partial<Pending> | undefined {
  const body = (answer ?? {}) as {
    seq?: number; refused?: { code: string; message: string }; error?: { code: string; what: string; where: string; how: string };
  };
  if (status === 200 && typeof body.seq === "number") return { state: "done", seq: body.seq };
  if (body.refused) return { state: "refused", code: body.refused.code, what: body.refused.message };
  // 401: kept until somebody logs in again. 408, 429 and all of 5xx: nobody knows, so ask again.
  if (status === 401 || status === 408 || status === 429 || status >= 500) return undefined;
  if (status >= 400) {
    const { what = String(status), where = "", how = "" } = body.error ?? {};
    return { state: "refused", code: "malformed", what: `${what} (${where}): ${how}` };
  }
  return undefined;
}
