import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { AGAIN_MS, foreign, Keeper, readDraft, SAVE_MS, TEXT_BYTES_MAX } from "./drafts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

type Answer = "taken" | "refused" | "lost";

function desk(...answers: Answer[]): { keeper: Keeper; sent: string[] } {
  const sent: string[] = [];
  const keeper = new Keeper(async (kind, body) => {
    sent.push(`${kind} ${Object.values(body).join(" ")}`);
    return answers.shift() ?? "taken";
  });
  return { keeper, sent };
}

test("a draft goes to the core soon after the last key, once", async () => {
  const { keeper, sent } = desk();
  for (const text of ["k", "ke", "key"]) {
    keeper.keep("call:s1", text);
    await vi.advanceTimersByTimeAsync(100);
  }
  expect(sent).toEqual([]);
  await vi.advanceTimersByTimeAsync(SAVE_MS);
  expect(sent).toEqual(["SaveDraft call:s1 key"]);
  keeper.keep("call:s1", "key");
  await vi.advanceTimersByTimeAsync(5_000);
  expect(sent.length, "what was said is not said again").toBe(1);
  expect(SAVE_MS, "500 ms is the promise, with the way there").toBeLessThanOrEqual(400);
});

test("what did not get through is sent again, with what it says by then", async () => {
  const { keeper, sent } = desk("lost");
  keeper.keep("call:s1", "a");
  await vi.advanceTimersByTimeAsync(SAVE_MS);
  keeper.keep("call:s1", "ab");
  await vi.advanceTimersByTimeAsync(AGAIN_MS + SAVE_MS);
  expect(sent).toEqual(["SaveDraft call:s1 a", "SaveDraft call:s1 ab"]);
});

test("a refused draft is not sent for ever, one that is too long not at all", async () => {
  const { keeper, sent } = desk("refused");
  keeper.keep("call:s1", "a");
  keeper.keep("call:s2", "字".repeat(TEXT_BYTES_MAX / 3 + 1));
  await vi.advanceTimersByTimeAsync(60_000);
  expect(sent).toEqual(["SaveDraft call:s1 a"]);
});

test("clearing goes at once and wins over what waits", async () => {
  const { keeper, sent } = desk();
  keeper.keep("call:s1", "a");
  keeper.keep("call:s1", null);
  await vi.advanceTimersByTimeAsync(SAVE_MS);
  expect(sent).toEqual(["ClearDraft call:s1"]);
});

test("another seat's draft is offered, our own is not", async () => {
  const { keeper } = desk();
  keeper.keep("call:s1", `{"words":"ours"}`);
  await vi.advanceTimersByTimeAsync(SAVE_MS);
  const isOurs = (text: string) => keeper.isOurs("call:s1", text);
  const saved = (text: string | null) => [{ form: "call:s1", text }];
  expect(foreign(saved(`{"words":"ours"}`), "call:s1", `{"words":"ours and more"}`, isOurs)).toBeUndefined();
  expect(foreign(saved(`{"words":"theirs"}`), "call:s1", "", isOurs)?.text).toContain("theirs");
  expect(foreign(saved(`{"words":""}`), "call:s1", "", isOurs), "nothing in it").toBeUndefined();
  expect(foreign(saved(null), "call:s1", "", isOurs), "its key was destroyed").toBeUndefined();
  expect(foreign(saved(`{"words":"theirs"}`), "call:s2", "", isOurs)).toBeUndefined();
});

test("a draft that is broken or holds other things than texts does no harm", () => {
  expect(readDraft("{broken")).toEqual({});
  expect(readDraft(`{"a":1,"b":"x","c":null}`)).toEqual({ b: "x" });
  expect(readDraft("null")).toEqual({});
});
