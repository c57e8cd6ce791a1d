// What this window looks at. Nothing here leaves the browser.
import { desk } from "./desk.svelte";
import { drafted } from "./drafts";
import { sortSignals } from "./order";
import type { Incident, Signal } from "./types";

export type FormName = "open" | "join" | "end" | "note" | "close";

class Ui {
  /** Id of the signal or incident in the detail pane. */
  selected: string | null = $state(null);
  form: { name: FormName; target: string } | null = $state(null);
  help = $state(false);
  showEnded = $state(localStorage.getItem("showEnded") !== "no");
  singleKeys = $state(localStorage.getItem("singleKeys") !== "off");
  theme: "dark" | "light" = $state(localStorage.getItem("theme") === "light" ? "light" : "dark");
  /** Things with a draft, so that lists can mark them. */
  drafts: Set<string> = $state.raw(drafted());

  signals: Signal[] = $derived(sortSignals(desk.world?.signals ?? []));
  ringing: Signal[] = $derived(this.signals.filter((signal) => signal.state === "ringing"));
  signal: Signal | undefined = $derived(desk.world?.signals.find((each) => each.id === this.selected));
  incident: Incident | undefined = $derived(desk.world?.incidents.find((each) => each.id === this.selected));
  mayAct: boolean = $derived(["dispatcher", "supervisor"].includes(desk.me?.role ?? ""));

  select(id: string): void {
    this.selected = id;
    this.form = null;
  }

  acknowledge(signal: Signal | undefined): void {
    if (!signal || !this.mayAct || desk.waiting(signal.id)) return;
    desk.command("AcknowledgeSignal", signal.id, { signal: signal.id, position: desk.seat });
    // A person in the middle of a form stays there.
    if (!this.form) this.selected = signal.id;
  }

  /** Whether the form makes sense for what is selected. */
  canOpen(name: FormName): boolean {
    if (!this.mayAct) return false;
    if (name === "note") return !!this.incident;
    if (name === "close") return this.incident?.state === "open";
    return !!this.signal && this.signal.state !== "ended" && !this.signal.incident;
  }

  openForm(name: FormName): void {
    if (this.selected && this.canOpen(name)) this.form = { name, target: this.selected };
  }

  toggleTheme(): void {
    this.theme = this.theme === "dark" ? "light" : "dark";
    localStorage.setItem("theme", this.theme);
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
