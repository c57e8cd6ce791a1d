// Notices of a person to a group (一斉配信): to whom, what a phone shows of them, and what is sent to
// the core. Pure, so that it can be tested.
import type { Draft } from "./drafts";
import { bytes, plainLines } from "./sites";
import type { Group, Incident, Notice, Recipient } from "./types";

export const LETTER_KINDS = ["call_out", "muster", "search", "information", "all_clear"] as const;
export const SEVERITIES = ["extreme", "severe", "moderate", "minor", "unknown"] as const;
export const SUBJECT_BYTES_MAX = 200;
export const NOTICE_BYTES_MAX = 2_000;
export const MINUTES_MAX = 1_440;
export const MINUTES = 120;
/** A notice that belongs to nothing yet; the name of its draft. */
export const FRESH = "new";
/** What is needed to turn out belongs in so many signs. */
export const FIRST_SIGNS = 250;
/** Signs that a locked phone shows of a text. */
export const LOCKED_SIGNS = 40;

/** Kinds that ask for an answer. */
export function asks(kind: string): boolean {
  return kind === "call_out" || kind === "muster" || kind === "search";
}

/** Groups that this role may send to. */
export function groupsFor(role: string | undefined, groups: readonly Group[]): Group[] {
  return groups.filter((each) => each.senders.includes(role ?? ""));
}

/** What everybody may read, a dispatcher does not publish alone. */
export function mayPublish(role: string | undefined): boolean {
  return role === "supervisor" || role === "disaster_manager";
}

/** What a form holds of a notice; all texts, so that it is kept as a draft. */
export interface Written extends Draft {
  group: string;
  kind: string;
  incident: string;
  subject: string;
  text: string;
  minutes: string;
}

/** What a form holds for the public. */
export interface Public extends Draft {
  /** `yes` when it goes out with the notice; words that do not go out stay in the draft. */
  on: string;
  headline: string;
  text: string;
  /** Numbers with commas between. */
  districts: string;
  severity: string;
}

export const EMPTY: Written = { group: "", kind: "", incident: "", subject: "", text: "", minutes: "" };
export const NOT_PUBLIC: Public = { on: "", headline: "", text: "", districts: "", severity: "" };

/** One line, as the core takes it. */
export function oneLine(text: string): string {
  return plainLines(text).replace(/\n+/g, " ");
}

export function minutesOf(text: string): number {
  return text.trim() ? Number(text) : MINUTES;
}

export function districtsOf(text: string): number[] {
  return text.split(",").filter(Boolean).map(Number);
}

/** Fields that are missing or do not fit, in the order of the form. */
export function faults(written: Written, open: Public | null): string[] {
  const found: string[] = [];
  const fits = (text: string, most: number) => !!text && bytes(text) <= most;
  if (!written.group) found.push("group");
  if (!(LETTER_KINDS as readonly string[]).includes(written.kind)) found.push("kind");
  if (!fits(oneLine(written.subject), SUBJECT_BYTES_MAX)) found.push("subject");
  if (!fits(plainLines(written.text), NOTICE_BYTES_MAX)) found.push("text");
  const minutes = minutesOf(written.minutes);
  if (!Number.isInteger(minutes) || minutes < 1 || minutes > MINUTES_MAX) found.push("minutes");
  if (!open) return found;
  if (!fits(oneLine(open.headline), SUBJECT_BYTES_MAX)) found.push("public.headline");
  if (!fits(plainLines(open.text), NOTICE_BYTES_MAX)) found.push("public.text");
  if (!districtsOf(open.districts).length) found.push("public.districts");
  if (!(SEVERITIES as readonly string[]).includes(open.severity)) found.push("public.severity");
  return found;
}

/** How it stands to one before it. */
export interface Replaces {
  notice: string;
  how: "correction" | "withdrawal";
}

/** The fields of `SendNotice`. What replaces another names no count: a wrong notice must not stand
 * because somebody was counted otherwise. */
export function body(written: Written, open: Public | null, drill: boolean, count: number, replaces: Replaces | null): Record<string, unknown> {
  return {
    group: written.group, kind: written.kind, drill, subject: oneLine(written.subject), text: plainLines(written.text), incident: written.incident || null,
    replaces: replaces?.notice ?? null, replacing: replaces?.how ?? null, count: replaces ? null : count, minutes: minutesOf(written.minutes),
    public: open ? { headline: oneLine(open.headline), text: plainLines(open.text), districts: districtsOf(open.districts), severity: open.severity } : null,
  };
}

/** What a form holds to begin with, when it corrects a notice. */
export function correcting(notice: Notice): { written: Written; open: Public | null } {
  const letter = notice.letter;
  const lasts = Math.round((Date.parse(notice.expires_at) - Date.parse(notice.ordered_at)) / 60_000);
  const written = {
    group: letter?.group ?? "", kind: letter?.kind ?? "", incident: letter?.incident ?? "", subject: letter?.subject ?? "", text: letter?.text ?? "",
    minutes: String(Math.min(MINUTES_MAX, Math.max(1, lasts))),
  };
  const said = letter?.public;
  return { written, open: said ? { on: "yes", headline: said.headline, text: said.text, districts: said.districts.join(","), severity: said.severity } : null };
}

/** To how many a notice went, or was to go. */
export function recipientsOf(notice: Notice): number {
  const { queued, accepted, uncertain, failed, stopped } = notice.outcomes;
  return queued + accepted + uncertain + failed + stopped;
}

/** How many may have a notice, and how many mails of it a newer one still stops. */
export function reached(notice: Notice): { may: number; waiting: number } {
  return { may: notice.outcomes.accepted + notice.outcomes.uncertain, waiting: notice.outcomes.queued };
}

/** How a notice stands, with its shape: one that was replaced says so before all else. */
export function standing(notice: Notice, all: readonly Notice[]): "sending" | "sent" | "expired" | "corrected" | "withdrawn" {
  const by = notice.letter?.replaced_by;
  if (by) return all.find((each) => each.id === by)?.letter?.replacing === "withdrawal" ? "withdrawn" : "corrected";
  return notice.state === "sending" || notice.state === "expired" ? notice.state : "sent";
}

/** Notices that people wrote, the newest first. */
export function letters(notices: readonly Notice[]): Notice[] {
  return notices.filter((each) => each.letter).sort((a, b) => Number(b.id.slice(1)) - Number(a.id.slice(1)));
}

/** Those that belong to an incident, the newest first. */
export function lettersOf(incident: Incident, notices: readonly Notice[]): Notice[] {
  return letters(notices).filter((each) => each.letter?.incident === incident.id);
}

const answerRank: Record<string, number> = { arrived: 0, coming: 1, late: 2, cannot: 3 };
const mailRank: Record<string, number> = { failed: 4, uncertain: 5 };

/** Who answered first, those who come before those who do not; then those whose mail is in trouble;
 * then all others in their order. */
export function sortRecipients(recipients: readonly Recipient[]): Recipient[] {
  const rank = (each: Recipient) => (each.answer ? (answerRank[each.answer] ?? 3) : (mailRank[each.mail] ?? 9));
  return [...recipients].sort((a, b) => rank(a) - rank(b) || (a.answer === "late" ? (a.minutes ?? 0) - (b.minutes ?? 0) : 0));
}

/** Whether this role may correct or withdraw it. */
export function mayReplace(notice: Notice, role: string | undefined, groups: readonly Group[]): boolean {
  const letter = notice.letter;
  if (!letter || letter.replaced_by || letter.replacing === "withdrawal") return false;
  return groupsFor(role, groups).some((each) => each.key === letter.group);
}

/** What the mails say around a person's words, in Japanese as nearly everybody gets them. */
export const MAIL = {
  subject: { call_out: "【出動指令】", muster: "【参集】", search: "【捜索協力】", information: "【お知らせ】", all_clear: "【解散】" } as Record<string, string>,
  replacing: { correction: "【訂正】", withdrawal: "【取消】" },
  said: { correction: "先にお送りした内容を訂正します。こちらが正しい内容です。", withdrawal: "先にお送りした内容は誤りです。取り消します。向かわないでください。" },
  drill: "【訓練】",
  demo: "【デモ・実際の災害ではありません】",
  greeting: "です。",
};

/** What a phone shows: the subject, and the lines it begins with. */
export function onPhone(written: Written, around: { mode: string; headquarters: string; drill: boolean; replaces: Replaces | null }): { subject: string; lines: string[] } {
  const mark = around.drill ? MAIL.drill : "";
  const demo = around.mode === "demo" ? MAIL.demo : "";
  const how = around.replaces?.how;
  const subject = `${demo}${mark}${how ? MAIL.replacing[how] : ""}${MAIL.subject[written.kind] ?? ""}${oneLine(written.subject)}${mark}`;
  const head = [demo, mark, how ? MAIL.said[how] : "", `${around.headquarters}${MAIL.greeting}`].filter(Boolean);
  return { subject, lines: [...head, ...plainLines(written.text).split("\n")] };
}

/** How many signs of a text come before what a person wrote, and with it: what is needed to turn out must be in the first ones. */
export function signs(text: string): number {
  return [...plainLines(text)].length;
}
