import { expect, test } from "vitest";
import { drafted } from "./drafts";
import { bytes, isDamaged, isHandset, lastTo, messageFault, MESSAGE_BYTES_MAX, modems, plainLines, sender, talk } from "./sites";
import type { Device, Message, Signal } from "./types";

const SITE = "sbd:300000000000111";
const signal = (id: string, more: Partial<Signal>) => ({ id, kind: "message", device: SITE, site: "川前支所", refused: false, alarms: [], received_at: "2026-11-23T05:00:00Z", ...more }) as unknown as Signal;
const message = (id: string, ordered_at: string, more: Partial<Message> = {}) => ({ id, device: SITE, ordered_at, state: "queued", ...more }) as unknown as Message;

test("a message is counted in bytes of what goes over the air", () => {
  expect(bytes("火")).toBe(3);
  expect(messageFault("火".repeat(100))).toBe("");
  expect(bytes("火".repeat(100))).toBe(MESSAGE_BYTES_MAX);
  expect(messageFault(`${"火".repeat(100)}a`)).toBe("long");
  expect(messageFault(`  ${"火".repeat(100)}\n`), "blanks at the ends do not go").toBe("");
  expect(messageFault(" \n\t")).toBe("empty");
});

test("what a handset does not show is left out, line breaks stay", () => {
  expect(plainLines("了解\r\n次\tの\u0007報")).toBe("了解\n次 の報");
});

test("who a message is from: a site, a number nobody knows, or nobody", () => {
  expect(sender(signal("s1", {}))).toBe("site");
  expect(sender(signal("s2", { site: null, device: "sbd:300000000000999" }))).toBe("unknown");
  expect(sender(signal("s3", { refused: true })), "a name that is not trusted is not shown").toBe("unknown");
  expect(sender(signal("s4", { site: null, device: "sbd:roof" }))).toBe("nameless");
  expect(isDamaged(signal("s5", { alarms: [{ kind: "message", class: "check", phase: "new", code: "damaged", zone: "" }] }))).toBe(true);
  expect(isDamaged(signal("s6", { kind: "pendant", alarms: [{ kind: "other", class: "check", phase: "new", code: "damaged", zone: "" }] }))).toBe(false);
});

test("what was said to and fro stands in one list, the newest first", () => {
  const signals = [signal("s1", {}), signal("s2", { device: "sbd:300000000000112" }), signal("s3", { kind: "pendant" })];
  const messages = [message("m5", "2026-11-23T05:00:10Z"), message("m4", "2026-11-23T04:59:00Z"), message("m6", "2026-11-23T05:01:00Z", { device: "sbd:300000000000112" })];
  expect(talk(SITE, signals, messages).map((each) => ("sent" in each ? each.sent.id : each.heard.id))).toEqual(["m5", "s1", "m4"]);
  expect(lastTo(SITE, messages)?.id).toBe("m5");
  expect(lastTo("sbd:300000000000113", messages)).toBeUndefined();
});

test("modems are what is no handset at that door", () => {
  const device = (id: string) => ({ id }) as unknown as Device;
  expect(modems(["sbd:roof", SITE, "dc09:4017"].map(device)).map((each) => each.id)).toEqual(["sbd:roof"]);
  expect([SITE, "sbd:30000000000011", "dc09:300000000000111", null].map(isHandset)).toEqual([true, false, false, false]);
});

test("a draft about a device is found by its whole name", () => {
  const kept = [`draft:message:${SITE}`, "draft:open:s12", "theme"];
  const storage = { length: kept.length, key: (place: number) => kept[place] ?? null };
  Object.defineProperty(globalThis, "localStorage", { value: storage, configurable: true });
  expect([...drafted()]).toEqual([SITE, "s12"]);
});
