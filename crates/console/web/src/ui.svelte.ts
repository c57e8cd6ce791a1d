// What this window looks at. Nothing here leaves the browser.
import { desk } from "./desk.svelte";
import { type Draft, drafted, dropDraft, holdsWords, saveDraft } from "./drafts";
import { FRESH, groupsFor, letters } from "./letters";
import { isUnanswered, sortIncidents, sortSignals } from "./order";
import type { Place } from "./places";
import { modems, siteOf } from "./sites";
import type { Device, Incident, Notice, Signal, Site, Unit } from "./types";
import { hasPoint } from "./whereabouts";

export type FormName = "open" | "call" | "callback" | "join" | "end" | "note" | "place" | "kind" | "close" | "notice" | "withdraw";
/** What is kept as a draft: forms, what a notice says to the public, and words to a site. */
export type DraftName = FormName | "public" | "message";
/** What is below the detail where there is no room for all. */
export type Below = "map" | "recommend" | "notices" | "sites";

/** What is to be done once a signal has its incident. Outlives a reload. */
interface Afterwards {
  signal: string;
  form: FormName;
  /** Words for the incident's record. */
  note: string | null;
}

/** A place that the map is asked to go to; a new object each time. */
export interface Aim {
  lat: number;
  lon: number;
  radius_m: number;
}

class Ui {
  /** Id of the signal, incident, unit, notice or site in the detail pane. */
  selected: string | null = $state(null);
  form: { name: FormName; target: string } | null = $state(null);
  below: Below = $state("map");
  /** Incident whose recommendation is on the screen. */
  recommended: string | null = $state(null);
  /** Counted up each time that somebody asks for a recommendation. */
  recommends = $state(0);
  /** Counted up to ask the recommendation on the screen to be accepted. */
  accepted = $state(0);
  aim: Aim | null = $state.raw(null);
  /** Counted up to ask the map to go back. */
  returned = $state(0);
  help = $state(false);
  showEnded = $state(localStorage.getItem("showEnded") !== "no");
  singleKeys = $state(localStorage.getItem("singleKeys") !== "off");
  /** Whether what this seat sends to many is a drill. */
  drill = $state(localStorage.getItem("drill") === "on");
  theme: "dark" | "light" = $state(localStorage.getItem("theme") === "light" ? "light" : "dark");
  /** Things with a draft, so that lists can mark them. */
  drafts: Set<string> = $state.raw(drafted());
  #afterwards: Afterwards[] = JSON.parse(localStorage.getItem("afterwards") ?? "[]") as Afterwards[];

  signals: Signal[] = $derived(sortSignals(desk.world?.signals ?? []));
  incidents: Incident[] = $derived(sortIncidents(desk.world?.incidents ?? []));
  units: Unit[] = $derived(desk.world?.units ?? []);
  ringing: Signal[] = $derived(this.signals.filter((signal) => signal.state === "ringing"));
  unanswered: Signal[] = $derived(this.signals.filter(isUnanswered));
  signal: Signal | undefined = $derived(desk.world?.signals.find((each) => each.id === this.selected));
  incident: Incident | undefined = $derived(desk.world?.incidents.find((each) => each.id === this.selected));
  unit: Unit | undefined = $derived(this.units.find((each) => each.id === this.selected));
  letters: Notice[] = $derived(letters(desk.world?.notices ?? []));
  notice: Notice | undefined = $derived(this.letters.find((each) => each.id === this.selected));
  site: Site | undefined = $derived(siteOf(this.selected, desk.world?.sites ?? []));
  modems: Device[] = $derived(modems(desk.world?.devices ?? []));
  mayAct: boolean = $derived(["dispatcher", "supervisor"].includes(desk.me?.role ?? ""));
  mayMessage: boolean = $derived(["dispatcher", "supervisor", "disaster_manager"].includes(desk.me?.role ?? ""));
  /** Whether there is a group that this person may send to. */
  mayNotify: boolean = $derived(this.mayMessage && groupsFor(desk.me?.role, desk.world?.groups ?? []).length > 0);
  /** Whether everything this seat sends is a drill. */
  isDrill: boolean = $derived(this.drill || desk.world?.mode === "training");
  /** Commands that came to an end and of which the draft was seen to. */
  #seen = new Set<string>();

  /** Whether a call waits that nobody answered, or a caller who gave up and was not called back in time. */
  get calling(): boolean {
    return this.unanswered.some(({ kind, state, call }) => kind === "call" && (state === "ringing" || (!!call?.callback_due && desk.now > Date.parse(call.callback_due))));
  }

  /** Whether somebody, here or at another seat, typed something about a thing and has not sent it. */
  hasDraft(id: string): boolean {
    return this.drafts.has(id) || (desk.world?.drafts.some((each) => each.form.slice(each.form.indexOf(":") + 1) === id) ?? false);
  }

  select(id: string): void {
    this.selected = id;
    this.form = null;
  }

  /** Takes a signal that nobody has: a call is answered, everything else acknowledged. */
  acknowledge(signal: Signal | undefined): void {
    if (!signal || !this.mayAct || signal.state !== "ringing" || desk.waiting(signal.id)) return;
    const call = signal.kind === "call";
    desk.command(call ? "AnswerCall" : "AcknowledgeSignal", signal.id, { signal: signal.id, position: desk.seat });
    // A person in the middle of a form stays there, unless a caller is now on the line.
    if (!this.form || call) this.selected = signal.id;
    if (call) this.form = { name: "call", target: signal.id };
  }

  /** Answers the call that waits longest. */
  answerNext(): void {
    this.acknowledge(this.ringing.find((signal) => signal.kind === "call" && !desk.waiting(signal.id)));
  }

  /** Whether the form makes sense for what is selected. */
  canOpen(name: FormName): boolean {
    if (name === "notice") return this.mayNotify;
    if (name === "withdraw") return this.mayNotify && !!this.notice;
    if (!this.mayAct) return false;
    if (name === "note") return !!this.incident;
    if (name === "close" || name === "place" || name === "kind") return this.incident?.state === "open";
    const free = !!this.signal && this.signal.state !== "ended" && !this.signal.incident;
    if (name === "callback") return free && this.signal?.state === "abandoned";
    if (name === "call") return free && this.signal?.kind === "call";
    if (name === "open") return free && this.signal?.kind !== "call";
    return free;
  }

  openForm(name: FormName): void {
    if (!this.selected || !this.canOpen(name)) return;
    this.form = { name, target: this.selected };
    // What was sent from it before came to nothing: what follows is said anew.
    this.#remember(this.#afterwards.filter((each) => each.signal !== this.selected));
  }

  /** Writes a notice: one to begin with, for the incident that is selected, or one that corrects or withdraws another. */
  compose(target = this.incident?.id ?? FRESH, name: "notice" | "withdraw" = "notice"): void {
    if (this.mayNotify) this.form = { name, target };
  }

  /** What was sent by a form that keeps its words until the core has them: now it may let go. Call it after each answer. */
  settle(): void {
    for (const { id, kind, target, state } of desk.pending) {
      if (state !== "done" || this.#seen.has(id)) continue;
      this.#seen.add(id);
      if (kind === "SendMessage") this.dropDraft("message", target);
      if (kind === "SendNotice") for (const name of ["notice", "public", "withdraw"] as const) this.dropDraft(name, target);
    }
  }

  closeForm(): void {
    this.form = null;
    document.getElementById("detail")?.focus();
  }

  /** Shows who should go. */
  recommend(incident: string): void {
    this.recommended = incident;
    this.recommends += 1;
    this.below = "recommend";
  }

  /** The map goes to what is selected, or to a place. */
  goTo(place?: Place): void {
    const at = place ?? (hasPoint(this.signal?.location) ? this.signal.location : hasPoint(this.incident?.place) ? this.incident.place : hasPoint(this.unit?.position) ? this.unit.position : null);
    if (!at) return;
    this.below = "map";
    this.aim = { lat: at.lat, lon: at.lon, radius_m: ("radius_m" in at && at.radius_m) || 300 };
  }

  /** The next incident by age, or the one before. */
  step(by: 1 | -1): void {
    const open = this.incidents.filter((each) => each.state === "open");
    const at = open.findIndex((each) => each.id === this.selected);
    const next = open[at < 0 ? (by > 0 ? 0 : open.length - 1) : at + by];
    if (next) this.select(next.id);
  }

  /** Remembers what follows when the signal comes to its incident; until then its draft stays. */
  andThen(afterwards: Afterwards): void {
    this.#remember([...this.#afterwards.filter((each) => each.signal !== afterwards.signal), afterwards]);
  }

  #remember(afterwards: Afterwards[]): void {
    this.#afterwards = afterwards;
    localStorage.setItem("afterwards", JSON.stringify(afterwards));
  }

  /** Does what waited for signals that have their incident now. Call it after each new world. */
  follow(signals: readonly Signal[]): void {
    const due = this.#afterwards.flatMap((each) => {
      const incident = signals.find((signal) => signal.id === each.signal)?.incident;
      return incident ? [{ ...each, incident }] : [];
    });
    if (!due.length) return;
    this.#remember(this.#afterwards.filter((each) => !due.some((done) => done.signal === each.signal)));
    for (const { signal, form, note, incident } of due) {
      if (note) desk.command("AddNote", incident, { incident, text: note });
      this.dropDraft(form, signal);
      // Nobody is taken away from what they turned to meanwhile.
      if (this.selected !== signal || this.form) continue;
      this.selected = incident;
      this.recommend(incident);
    }
  }

  /** Keeps what is typed in a form: here at once, in the core soon. */
  keepDraft(form: DraftName, target: string, draft: Draft): void {
    saveDraft(form, target, draft);
    this.drafts = drafted();
    const name = `${form}:${target}`;
    if (holdsWords(draft)) desk.keeper.keep(name, JSON.stringify(draft));
    else if (desk.keeper.has(name)) desk.keeper.keep(name, null);
  }

  dropDraft(form: DraftName, target: string): void {
    dropDraft(form, target);
    this.drafts = drafted();
    const name = `${form}:${target}`;
    if (desk.keeper.has(name) || desk.world?.drafts.some((each) => each.form === name)) desk.keeper.keep(name, null);
  }

  toggleTheme(): void {
    this.theme = this.theme === "dark" ? "light" : "dark";
    localStorage.setItem("theme", this.theme);
  }

  setDrill(drill: boolean): void {
    this.drill = drill;
    localStorage.setItem("drill", drill ? "on" : "off");
  }

  toggleSingleKeys(): void {
    this.singleKeys = !this.singleKeys;
    localStorage.setItem("singleKeys", this.singleKeys ? "on" : "off");
  }

  toggleEnded(): void {
    this.showEnded = !this.showEnded;
    localStorage.setItem("showEnded", this.showEnded ? "yes" : "no");
  }
}

export const ui = new Ui();
