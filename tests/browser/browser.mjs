// What every browser script needs: Debian's Chromium, arguments, steps that print one line each.
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync } from "node:fs";
import { parseArgs } from "node:util";
import { chromium } from "playwright-core";

const flags = [
  "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
  "--disable-background-networking", "--disable-component-update", "--disable-sync",
];

/** Arguments that all scripts share. */
export function settings(more = {}) {
  const { values } = parseArgs({
    options: {
      ...more,
      url: { type: "string" },
      user: { type: "string", default: "dispatcher" },
      password: { type: "string" },
      shots: { type: "string", default: "shots" },
      press: { type: "string" },
      again: { type: "string" },
      chromium: { type: "string", default: process.env.CHROMIUM ?? "/usr/bin/chromium" },
    },
  });
  if (!values.url || !values.password) {
    console.error("usage: npm run flow -- --url http://127.0.0.1:8119 --user U --password P [--shots DIR] [--press COMMAND]");
    process.exit(2);
  }
  if (!existsSync(values.chromium)) {
    console.error(`no browser at ${values.chromium}: apt-get install chromium, or name it with --chromium`);
    process.exit(2);
  }
  mkdirSync(values.shots, { recursive: true });
  return values;
}

/** Starts the browser; `outside` collects every address that is not the console's. */
export async function open(args, width = 1280, height = 800) {
  const browser = await chromium.launch({ executablePath: args.chromium, args: flags, headless: true });
  const context = await browser.newContext({ viewport: { width, height }, locale: "ja-JP", timezoneId: "UTC" });
  const page = await context.newPage();
  page.setDefaultTimeout(15_000);
  const outside = [];
  const errors = [];
  page.on("request", (request) => {
    if (!request.url().startsWith(args.url) && !request.url().startsWith("data:")) outside.push(request.url());
  });
  page.on("pageerror", (error) => errors.push(String(error)));
  page.on("console", (message) => {
    if (message.type() === "error" && !message.text().includes("401")) errors.push(message.text());
  });
  return { browser, context, page, outside, errors };
}

/** Runs a command of the shell, such as one that lets a pendant call. */
export function run(command) {
  execFileSync("/bin/sh", ["-c", command], { stdio: "inherit" });
}

/** One thing the flow does; prints how it went, and a picture when it went wrong. */
export function stepper(page, shots) {
  let number = 0;
  return async (name, act) => {
    number += 1;
    const begun = performance.now();
    try {
      const said = await act();
      console.log(`ok ${number} ${name}${said ? ` (${said})` : ""} ${Math.round(performance.now() - begun)} ms`);
    } catch (error) {
      console.log(`not ok ${number} ${name}: ${error.message}`);
      await page.screenshot({ path: `${shots}/failed-${number}.png` }).catch(() => {});
      throw error;
    }
  };
}

/** The page's own mark that it shows at least this event. */
export async function shows(page, seq) {
  await page.waitForFunction((wanted) => Number(document.documentElement.dataset.seq ?? 0) >= wanted, seq);
}

/** Fails with a sentence. */
export function must(holds, sentence) {
  if (!holds) throw new Error(sentence);
}
