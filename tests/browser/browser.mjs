// What every browser script needs: Debian's Chromium, arguments, steps that print one line each.
import { execFileSync, spawn } from "node:child_process";
import { existsSync, mkdirSync } from "node:fs";
import { createInterface } from "node:readline";
import { parseArgs } from "node:util";
import { chromium } from "playwright-core";

const flags = [
  "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
  "--disable-background-networking", "--disable-component-update", "--disable-sync",
];

/** How long a caller waits who gives up. */
const RINGS_MS = 2_500;

const root = new URL("../..", import.meta.url).pathname;

/** The console's example: the real server and the real core in memory, with invented people. */
const example = { user: "sato", password: "correct horse", command: "cargo run --quiet --package hansho-console --example desk" };

/** Arguments that all scripts share. Without `--url` the console's example is started. */
export async function settings(more = {}) {
  const { values } = parseArgs({
    options: {
      ...more,
      url: { type: "string" },
      user: { type: "string" },
      password: { type: "string" },
      shots: { type: "string", default: `${root}target/browser` },
      press: { type: "string" },
      call: { type: "string" },
      satphone: { type: "string" },
      mailbox: { type: "string" },
      mails: { type: "string" },
      supervisor: { type: "string" },
      viewer: { type: "string" },
      chromium: { type: "string", default: process.env.CHROMIUM ?? "/usr/bin/chromium" },
    },
  });
  if (!existsSync(values.chromium)) {
    console.error(`no browser at ${values.chromium}: apt-get install chromium, or name it with --chromium`);
    process.exit(2);
  }
  if (values.url && !(values.user && values.password)) {
    console.error("--url needs --user and --password");
    process.exit(2);
  }
  mkdirSync(values.shots, { recursive: true });
  if (values.url) {
    const press = values.press ? async () => execFileSync("/bin/sh", ["-c", values.press]) : undefined;
    const callers = [];
    process.on("exit", () => callers.forEach((each) => each.kill()));
    const stop = () => callers.splice(0).forEach((each) => each.kill());
    const run = (command, ...more) => callers.push(spawn("/bin/sh", ["-c", `exec ${command} "$@"`, "command", ...more], { stdio: ["ignore", "ignore", "inherit"] }));
    const house = values.satphone && values.mailbox && values.mails ? outside(values, run) : {};
    return { ...values, ...house, press, call: values.call ? caller(values.call, callers) : undefined, stop };
  }
  // `cargo dev` has these from its own `cargo run`; handed on, they would make crates build anew.
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^CARGO_(PKG|MANIFEST)_/.test(name)));
  const server = spawn("/bin/sh", ["-c", `exec ${example.command}`], { cwd: root, env, stdio: ["ignore", "pipe", "inherit"] });
  process.on("exit", () => server.kill());
  const { value: url } = await createInterface({ input: server.stdout })[Symbol.asyncIterator]().next();
  if (!url) throw new Error("the example did not start");
  const press = async (what = "4017") => {
    await fetch(`${url}/r/${what}`, { method: "POST" });
  };
  const call = async (what) => {
    await press(`call-${what === "gone" ? "withheld" : what}`);
    if (what === "gone") setTimeout(() => void press("gone"), RINGS_MS);
  };
  const house = { words: () => press("site"), post: () => press("mails"), answer: (choice) => press(`answer-${choice}`) };
  return { ...values, ...example, url, press, call, ...house, supervisor: "honda:correct horse", viewer: "wall:correct horse", isExample: true, stop: () => server.kill() };
}

/** A site with a satellite handset, and people who read their mails, made by commands: a modem as
 * `hansho-sim satphone`, a catcher as `hansho-sim mailbox` with its page at `mails`. */
function outside({ url, satphone, mailbox, mails }, run) {
  return {
    words: async () => run(satphone, "--session", "50", "--call-every", "500", "--call", "@300000000000111/7 道路寸断 負傷2 孤立12世帯"),
    post: async () => run(mailbox),
    answer: async (choice) => {
      const caught = await (await fetch(`${mails}/api/mails`)).json();
      const { link } = caught.reduce((last, each) => (each.link && each.id > (last?.id ?? 0) ? each : last), undefined);
      const said = await fetch(`${url}${new URL(link).pathname}`, { method: "POST", headers: { "Content-Type": "application/x-www-form-urlencoded" }, body: `answer=${choice}` });
      must(said.ok, `the answer page said ${said.status}`);
    },
  };
}

/** Somewhere in Onahama, and how each call is made, as `hansho-sim caller` takes it. */
const spot = ["--lat", "36.9755", "--lon", "140.8866"];
const ways = {
  mobile: [...spot, "--radius", "42"],
  cell: [...spot, "--radius", "1200", "--method", "Cell", "--tel", "+819000000002"],
  unread: ["--shape", "broken", "--tel", "+819000000003"],
  gone: [...spot, "--withhold", "--tel", "+819000000004", "--hang-up-after", `${RINGS_MS}`],
};

/** Calls made by a command that takes the arguments of `hansho-sim caller`. It stays on the line
 * until this script ends, or hangs up by itself. */
function caller(command, callers) {
  return (what) => {
    callers.push(spawn("/bin/sh", ["-c", `exec ${command} "$@"`, "caller", "--talk", "600000", ...ways[what]], { stdio: ["ignore", "ignore", "inherit"] }));
  };
}

/** A person's hands: counts keys, apart from the words that are typed. */
export function hands(page) {
  const count = { keys: 0, words: 0 };
  return {
    count,
    async press(...keys) {
      for (const key of keys) {
        count.keys += 1;
        await page.keyboard.press(key);
      }
    },
    async type(text) {
      count.words += text.length;
      await page.keyboard.type(text);
    },
  };
}

export async function logIn(page, args) {
  await page.goto(args.url);
  await page.locator("#user").fill(args.user);
  await page.locator("#password").fill(args.password);
  await page.keyboard.press("Enter");
  await page.waitForSelector("html[data-seq]");
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

/** Goes down a list from its top until the row of this id is selected; no row is passed twice. */
export async function downTo(page, list, id, press = (key) => page.keyboard.press(key)) {
  const rows = await page.locator(`#${list} tbody tr`).count();
  const selected = () => page.locator(`#${list} tr.selected`).getAttribute("data-id");
  for (let row = 0; row < rows; row += 1) {
    if ((await selected()) === id) return;
    await press("ArrowDown");
  }
  must((await selected()) === id, `${id} is in none of the ${rows} rows of ${list}`);
}

/** Fails with a sentence. */
export function must(holds, sentence) {
  if (!holds) throw new Error(sentence);
}

/** What the core knows: its state, and its state once it holds something, which then is on the screen. */
export function witness(page) {
  const world = () => page.evaluate(async () => (await fetch("/api/state")).json());
  async function until(sentence, holds) {
    const end = performance.now() + 20_000;
    for (;;) {
      const now = await world();
      const found = holds(now);
      if (found) {
        await shows(page, now.seq);
        return found;
      }
      must(performance.now() < end, sentence);
      await page.waitForTimeout(50);
    }
  }
  return { world, until };
}
