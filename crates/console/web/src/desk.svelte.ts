// The seat: who is here, what the core says, what is under way.
//
// The world is fetched whole after events (at most every 150 ms) in place of folding them here:
// one rule for what a person sees, kept by the server. The stream tells when; `seq` tells how far.
import { tick } from "svelte";
import { added, CONFIRM_MS, KEEP_MS, type Pending, restore, settle, timed } from "./commands";
import { Keeper } from "./drafts";
import { reuse } from "./order";
import type { Me, World } from "./types";
import { uuid7 } from "./uuid";

/** No heartbeat for this long: the link is lost. */
const LOST_MS = 5_000;
/** Nothing for three heartbeats: the stream is made anew. */
const RENEW_MS = 6_000;
/** Between two fetches of the world. */
const FETCH_MS = 150;

class Desk {
  /** `undefined`: not known yet; `null`: nobody. */
  me: Me | null | undefined = $state(undefined);
  /** Whether somebody was here before the session ended. */
  ended = $state(false);
  world: World | null = $state.raw(null);
  seat: string = $state(localStorage.getItem("seat") ?? "desk1");
  /** The server's time, in milliseconds, as well as we know it. */
  now = $state(Date.now());
  /** When the stream was last heard, by our clock. */
  heard = $state(0);
  lostSince: number | null = $state(null);
  everLinked = $state(false);
  pending: Pending[] = $state(restore(localStorage.getItem("pending"), Date.now()));
  /** Carries what is typed to the core. */
  readonly keeper = new Keeper((kind, body) => this.#quietly(kind, body));

  #offset = 0;
  #wanted = 0;
  #fetching = false;
  #source: EventSource | null = null;
  #renewAt = 0;
  #started = false;

  /** Whether the screen shows the present. */
  get linked(): boolean {
    return this.everLinked && this.lostSince === null;
  }

  /** Key of the words for a value that the server did not open. */
  get closed(): string {
    return this.me?.role === "viewer" ? "detail.not.shown" : "detail.key.gone";
  }

  async start(): Promise<void> {
    if (this.#started) return;
    this.#started = true;
    setInterval(() => this.#beat(), 500);
    await this.#askWho();
  }

  async #askWho(): Promise<void> {
    try {
      const answer = await fetch("/api/me");
      if (answer.ok) {
        this.me = (await answer.json()) as Me;
        this.#open();
      } else if (answer.status === 401) {
        this.#leave();
      }
    } catch {
      // The watchdog asks again.
    }
  }

  /** Returns the key of what is wrong, or an empty text. */
  async logIn(user: string, password: string): Promise<{ key: string; seconds?: string }> {
    let answer: Response;
    try {
      answer = await post("/api/login", { user, password });
    } catch {
      return { key: "login.unreachable" };
    }
    if (answer.ok) {
      this.me = (await answer.json()) as Me;
      this.ended = false;
      localStorage.setItem("seat", this.seat);
      this.#open();
      return { key: "" };
    }
    if (answer.status === 429) return { key: "login.wait", seconds: answer.headers.get("Retry-After") ?? "" };
    return { key: answer.status >= 500 ? "login.unreachable" : "login.wrong" };
  }

  async logOut(): Promise<void> {
    try {
      await post("/api/logout", {});
    } finally {
      this.#leave();
      this.ended = false;
    }
  }

  #leave(): void {
    this.ended = !!this.me;
    this.me = null;
    this.world = null;
    this.everLinked = false;
    this.lostSince = null;
    this.#source?.close();
    this.#source = null;
  }

  #open(): void {
    this.#source?.close();
    this.heard = performance.now();
    const after = this.world ? `?after=${this.world.seq}` : "";
    const source = new EventSource(`/api/stream${after}`);
    this.#source = source;
    const want = (event: MessageEvent<string>, seq: number) => {
      if (source !== this.#source) return;
      this.heard = performance.now();
      this.everLinked = true;
      this.lostSince = null;
      this.#wanted = Math.max(this.#wanted, seq);
      if (event.type === "heartbeat") {
        this.#offset = Date.parse((JSON.parse(event.data) as { at: string }).at) - Date.now();
        this.now = Date.now() + this.#offset;
      }
      void this.#fetch();
    };
    source.addEventListener("event", (event) => want(event, Number(event.lastEventId)));
    source.addEventListener("heartbeat", (event) => want(event, (JSON.parse(event.data) as { seq: number }).seq));
    source.addEventListener("snapshot", (event) => {
      if (source !== this.#source) return;
      const world = JSON.parse(event.data as string) as World;
      // Also when it is smaller: the journal behind the server is another one.
      this.#wanted = world.seq;
      void this.#show(world);
      want(event, world.seq);
    });
    void this.#fetch();
  }

  async #fetch(): Promise<void> {
    if (this.#fetching || (this.world && this.world.seq >= this.#wanted)) return;
    this.#fetching = true;
    try {
      const answer = await fetch("/api/state", { cache: "no-store" });
      if (answer.ok) await this.#show((await answer.json()) as World);
      else if (answer.status === 401) this.#leave();
    } catch {
      // Not linked: the watchdog sees to it.
    }
    setTimeout(() => {
      this.#fetching = false;
      if (this.me && this.linked) void this.#fetch();
    }, FETCH_MS);
  }

  async #show(world: World): Promise<void> {
    const old = this.world;
    const [signals, incidents, notices, units] = [
      reuse(old?.signals ?? [], world.signals), reuse(old?.incidents ?? [], world.incidents), reuse(old?.notices ?? [], world.notices), reuse(old?.units ?? [], world.units),
    ];
    this.world = { ...world, signals, incidents, notices, units };
    await tick();
    document.documentElement.dataset.seq = String(world.seq);
    document.documentElement.dataset.ready = "1";
  }

  #beat(): void {
    const now = performance.now();
    this.now = Date.now() + this.#offset;
    this.#work();
    if (this.me === undefined && now > this.#renewAt) {
      this.#renewAt = now + backOff();
      void this.#askWho();
    }
    if (!this.me) return;
    const silent = now - this.heard;
    if (silent > LOST_MS && this.lostSince === null) this.lostSince = this.now - silent;
    // A browser gives up for good when a reconnect is answered with 503: so we look after it.
    const dead = this.#source?.readyState === EventSource.CLOSED || silent > RENEW_MS;
    if (dead && now > this.#renewAt) {
      this.#renewAt = now + backOff() + (silent > RENEW_MS ? 1_000 : 0);
      const heard = this.heard;
      void this.#askWho().then(() => {
        // A new stream starts its own time to speak, but the loss is over only when it does.
        if (this.lostSince !== null && this.heard !== heard) this.#renewAt = performance.now() + RENEW_MS;
      });
    }
  }

  /** Gives a command; it is drawn as pending until the core has answered with its number. Returns its id. */
  command(kind: string, target: string, body: Record<string, unknown>): string | undefined {
    if (!this.me) return undefined;
    const made = Date.now();
    const lost = this.everLinked && this.lostSince !== null;
    const entry: Pending = { id: uuid7(made), kind, body: timed(kind, body, lost ? made + this.#offset : null), target, user: this.me.user, made, state: "sending", sent: 0 };
    this.pending = added(this.pending, entry);
    this.#work();
    return entry.id;
  }

  /** Sends something that no person waits for. */
  async #quietly(kind: string, body: Record<string, unknown>): Promise<"taken" | "refused" | "lost"> {
    if (!this.me) return "lost";
    try {
      const answer = await post("/api/commands", { id: uuid7(), kind, body });
      const settled = settle(answer.status, await answer.json().catch(() => null));
      return settled ? (settled.state === "done" ? "taken" : "refused") : "lost";
    } catch {
      return "lost";
    }
  }

  /** Asks the server for something that is not in the world; `null` when it did not answer. */
  async ask<Answer>(path: string): Promise<Answer | null> {
    try {
      const answer = await fetch(path, { cache: "no-store", signal: AbortSignal.timeout(10_000) });
      return answer.ok ? ((await answer.json()) as Answer) : null;
    } catch {
      return null;
    }
  }

  clear(id: string): void {
    this.pending = this.pending.filter((each) => each.id !== id);
    this.#keep();
  }

  /** The command under way for a thing, if any. */
  waiting(target: string): Pending | undefined {
    const seq = this.world?.seq ?? 0;
    return this.pending.find((each) => each.target === target && (each.state === "sending" || (each.state === "done" && (each.seq ?? 0) > seq)));
  }

  #work(): void {
    const now = Date.now();
    const kept = this.pending.filter((each) => each.state !== "done" || now - each.sent < KEEP_MS);
    if (kept.length !== this.pending.length) this.pending = kept;
    for (const each of this.pending) {
      if (each.state === "sending" && each.user === this.me?.user && now - each.sent > CONFIRM_MS) void this.#send(each.id, now);
    }
    this.#keep();
  }

  async #send(id: string, now: number): Promise<void> {
    this.#change(id, { sent: now });
    const command = this.pending.find((each) => each.id === id);
    if (!command) return;
    try {
      const answer = await post("/api/commands", { id, kind: command.kind, body: command.body });
      const change = settle(answer.status, await answer.json().catch(() => null));
      if (change) this.#change(id, { ...change, sent: Date.now() });
      if (change?.seq) {
        this.#wanted = Math.max(this.#wanted, change.seq);
        void this.#fetch();
      }
    } catch {
      // No answer: sent again with the same id, which has the effect of once.
    }
    this.#keep();
  }

  #change(id: string, change: Partial<Pending>): void {
    this.pending = this.pending.map((each) => (each.id === id ? { ...each, ...change } : each));
  }

  #keep(): void {
    localStorage.setItem("pending", JSON.stringify(this.pending.filter((each) => each.state === "sending" || each.state === "unsent")));
  }
}

function backOff(): number {
  return 200 + Math.random() * 2_800;
}

function post(path: string, body: unknown): Promise<Response> {
  return fetch(path, {
    method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body),
    signal: AbortSignal.timeout(10_000),
  });
}

export const desk = new Desk();
