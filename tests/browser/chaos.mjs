// Chaos on the cable: the stream is cut again and again while pendants call and a person
// acknowledges; afterwards the screen must be equal to the core's state, and no command may be lost
// or done twice.
//
// COMMAND of `--break` does worse at each turn, such as killing the core.
//
//   npm run chaos -- [--seconds 20] [--break COMMAND] [--url http://127.0.0.1:8119 --user U --password P --press 'COMMAND']
import { execFileSync } from "node:child_process";
import { setTimeout as wait } from "node:timers/promises";
import { cable } from "./cable.mjs";
import { must, open, settings, shows, stepper } from "./browser.mjs";

const args = await settings({ break: { type: "string" }, seconds: { type: "string", default: "20" } });
const line = await cable(args.url);
args.url = line.url;
const { browser, page } = await open(args);
const step = stepper(page, args.shots);
const world = () => page.evaluate(async () => (await fetch("/api/state")).json());
let cuts = 0;

/** What the screen shows, as the state would say it. */
const screen = () => page.evaluate(() => [...document.querySelectorAll("#signals tbody tr")].map((row) => `${row.dataset.id} ${row.querySelector(".code").textContent}`).sort());

try {
  await step("log in", async () => {
    await page.goto(args.url);
    await page.locator("#user").fill(args.user);
    await page.locator("#password").fill(args.password);
    await page.keyboard.press("Enter");
    await page.waitForSelector("html[data-seq]");
  });
  await step("the cable is cut while things happen", async () => {
    const end = performance.now() + Number(args.seconds) * 1_000;
    while (performance.now() < end) {
      // A pendant that gets no answer says so; it is not this script's business.
      await Promise.resolve(args.press?.()).catch(() => {});
      line.cut();
      cuts += 1;
      if (args.break) execFileSync("/bin/sh", ["-c", args.break]);
      await page.keyboard.press("a");
      await wait(150);
      line.mend();
      await Promise.resolve(args.press?.()).catch(() => {});
      await wait(1_500);
      await page.keyboard.press("a");
    }
    return `${cuts} cuts`;
  });
  await step("the screen comes to show what the core knows", async () => {
    await page.waitForFunction(() => !document.querySelector(".command.sending, .lost-banner"));
    let { seq, signals } = await world();
    await shows(page, seq);
    ({ seq, signals } = await world());
    await shows(page, seq);
    const codes = { ringing: "RG", abandoned: "AB", answered: "AN", ended: "EN" };
    const wanted = signals.map((each) => `${each.id} ${codes[each.state]}`).sort();
    const seen = await screen();
    must(JSON.stringify(seen) === JSON.stringify(wanted), `${seen}\nis not\n${wanted}`);
    return `#${seq}, ${signals.length} signals`;
  });
  console.log("chaos: passed");
} catch {
  console.log("chaos: failed");
  process.exitCode = 1;
} finally {
  await browser.close();
  line.close();
  args.stop();
}
