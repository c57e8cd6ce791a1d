// What a person typed is never lost: each key goes to local storage at once, and to the core soon
// after, so that it outlives the browser and another seat can open it.

export type Draft = Record<string, string>;
const key = (form: string, target: string) => `draft:${form}:${target}`;

export function loadDraft(form: string, target: string): Draft {
  return readDraft(localStorage.getItem(key(form, target)));
}

/** A draft from its text; anything else than texts in it is left out. */
export function readDraft(text: string | null): Draft {
  try {
    const all = JSON.parse(text ?? "{}") as Record<string, unknown>;
    return Object.fromEntries(Object.entries(all).filter((each): each is [string, string] => typeof each[1] === "string"));
  } catch {
    return {};
  }
}

export function saveDraft(form: string, target: string, draft: Draft): void {
  if (holdsWords(draft)) localStorage.setItem(key(form, target), JSON.stringify(draft));
  else localStorage.removeItem(key(form, target));
}

export function dropDraft(form: string, target: string): void {
  localStorage.removeItem(key(form, target));
}

/** Whether there is anything in it to lose. */
export function holdsWords(draft: Draft): boolean {
  return Object.values(draft).some((value) => value !== "");
}

/** Things that have a draft of any form. */
export function drafted(): Set<string> {
  const targets = new Set<string>();
  for (let place = 0; place < localStorage.length; place += 1) {
    const [what, , ...target] = (localStorage.key(place) ?? "").split(":");
    // A device's name has a colon of its own.
    if (what === "draft" && target.length) targets.add(target.join(":"));
  }
  return targets;
}

/** From the last key to the core: 500 ms is the promise, and the way there takes a part of it. */
export const SAVE_MS = 350;
/** Until a draft that did not get through is sent again, with what it says by then. */
export const AGAIN_MS = 2_000;
/** The core takes no longer ones, in bytes. */
export const TEXT_BYTES_MAX = 4_096;
/** What we sent of a form and may come back to us; more would be another person's. */
const SENT_MAX = 200;

type Send = (kind: "SaveDraft" | "ClearDraft", body: Record<string, string>) => Promise<"taken" | "refused" | "lost">;

/** Carries drafts to the core: the last one of each form, never two at a time. */
export class Keeper {
  #send: Send;
  #wanted = new Map<string, string | null>();
  #timers = new Map<string, ReturnType<typeof setTimeout>>();
  #busy = new Set<string>();
  #sent = new Map<string, string[]>();

  constructor(send: Send) {
    this.#send = send;
  }

  /** `null` clears it. */
  keep(form: string, text: string | null): void {
    const last = this.#wanted.has(form) ? this.#wanted.get(form) : this.#sent.get(form)?.at(-1);
    if (last === text) return;
    this.#wanted.set(form, text);
    this.#later(form, text === null ? 0 : SAVE_MS);
  }

  /** Whether the core has this form from us, or soon will. */
  has(form: string): boolean {
    return this.#wanted.has(form) || this.#sent.has(form);
  }

  /** Whether this text is one that we sent ourselves. */
  isOurs(form: string, text: string): boolean {
    return this.#sent.get(form)?.includes(text) ?? false;
  }

  #later(form: string, after: number): void {
    clearTimeout(this.#timers.get(form));
    this.#timers.set(form, setTimeout(() => void this.#work(form), after));
  }

  async #work(form: string): Promise<void> {
    const text = this.#wanted.get(form);
    if (text === undefined || this.#busy.has(form)) return;
    if (text !== null && new TextEncoder().encode(text).length > TEXT_BYTES_MAX) return;
    this.#busy.add(form);
    if (text === null) this.#sent.delete(form);
    else this.#sent.set(form, [...(this.#sent.get(form) ?? []).slice(-SENT_MAX + 1), text]);
    const answer = text === null ? await this.#send("ClearDraft", { form }) : await this.#send("SaveDraft", { form, text });
    this.#busy.delete(form);
    const changed = this.#wanted.get(form) !== text;
    if (answer !== "lost" && !changed) this.#wanted.delete(form);
    else this.#later(form, answer === "lost" ? AGAIN_MS : 0);
  }
}

/** What another seat typed into the same form, when it says something else than ours. */
export function foreign<Saved extends { form: string; text?: string | null }>(saved: readonly Saved[], form: string, mine: string, isOurs: (text: string) => boolean): Saved | undefined {
  const found = saved.find((each) => each.form === form);
  if (!found?.text || found.text === mine || isOurs(found.text)) return undefined;
  return holdsWords(readDraft(found.text)) ? found : undefined;
}
