// Sites that are reached over a satellite: who they are, what was said to them, and whether the modems
// of the house work. Pure, so that it can be tested.
import type { Device, Message, Signal, Site } from "./types";

/** Longest message, in bytes of UTF-8: a hundred kanji. */
export const MESSAGE_BYTES_MAX = 300;

const encoder = new TextEncoder();

/** Size as it goes over the air. */
export function bytes(text: string): number {
  return encoder.encode(text).length;
}

/** Words as they may go: without blanks at the ends, and without signs that a handset does not show. */
export function plainLines(text: string): string {
  return text.replace(/\r\n?/g, "\n").replace(/\t/g, " ").replace(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f]/g, "").trim();
}

/** What may be sent, or why not. */
export function messageFault(text: string): "" | "empty" | "long" {
  const plain = plainLines(text);
  return !plain ? "empty" : bytes(plain) > MESSAGE_BYTES_MAX ? "long" : "";
}

/** Whether a device is a handset: 15 digits. Every other name at that door is a modem of the house. */
export function isHandset(device: string | null | undefined): boolean {
  return /^sbd:\d{15}$/.test(device ?? "");
}

/** A device without its door. */
export function bare(device: string): string {
  return device.slice(device.indexOf(":") + 1);
}

/** Modems of the house. */
export function modems(devices: readonly Device[]): Device[] {
  return devices.filter((each) => each.id.startsWith("sbd:") && !isHandset(each.id));
}

export function siteOf(device: string | null | undefined, sites: readonly Site[]): Site | undefined {
  return sites.find((each) => each.device === device);
}

/** Who says it: a site that is registered, one that claims a number nobody knows, or nobody at all. */
export function sender(signal: Signal): "site" | "unknown" | "nameless" {
  if (signal.site && !signal.refused) return "site";
  return isHandset(signal.device) ? "unknown" : "nameless";
}

/** Whether a part of a message is missing, or its checksum was wrong. */
export function isDamaged(signal: Signal): boolean {
  return signal.kind === "message" && signal.alarms.some((each) => each.code === "damaged");
}

/** One line of what was said between the desk and a site. */
export type Line = { at: string; sent: Message } | { at: string; heard: Signal };

/** What was said to and fro, the newest first. */
export function talk(device: string, signals: readonly Signal[], messages: readonly Message[]): Line[] {
  const heard = signals.filter((each) => each.kind === "message" && each.device === device).map((each): Line => ({ at: each.received_at, heard: each }));
  const sent = messages.filter((each) => each.device === device).map((each): Line => ({ at: each.ordered_at, sent: each }));
  return [...heard, ...sent].sort((a, b) => Date.parse(b.at) - Date.parse(a.at));
}

/** The last message to a site. */
export function lastTo(device: string, messages: readonly Message[]): Message | undefined {
  return messages.filter((each) => each.device === device).reduce<Message | undefined>((last, each) => (!last || Date.parse(each.ordered_at) > Date.parse(last.ordered_at) ? each : last), undefined);
}
