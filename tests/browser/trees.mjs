// What a screen reader gets: the accessibility tree of each screen in each language, against the
// files in `goldens/`. Times, dates and numbers of events are masked. Both themes must give the
// same tree.
//
//   npm run trees              compare
//   npm run trees -- --write   take what is there as right, after looking at the difference
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { must, open, settings, shows, stepper } from "./browser.mjs";

const args = await settings({ write: { type: "boolean", default: false } });
must(args.isExample, "the trees are those of the example's invented people: leave `--url` out");
const { browser, page } = await open(args);
const step = stepper(page, args.shots);
const folder = new URL("goldens/", import.meta.url).pathname;
mkdirSync(folder, { recursive: true });

/** The day in an incident's number, in Japan: `1123`. */
function today() {
  const { month, day } = Object.fromEntries(new Intl.DateTimeFormat("en-CA", { timeZone: "Asia/Tokyo", month: "2-digit", day: "2-digit" }).formatToParts().map(({ type, value }) => [type, value]));
  return `${month}${day}`;
}

function masked(tree) {
  return tree
    .replace(/\d{4}-\d\d-\d\d \d\d:\d\d:\d\d/g, "DATE TIME")
    .replace(/\b\d{1,3}:\d\d(:\d\d)?\b/g, "TIME")
    .replace(/\b\d+ (s ago|秒前)/g, "N $1")
    .replace(/#\d+/g, "#N")
    .replace(/\b([simn])\d+\b/g, "$1N")
    .replace(new RegExp(`\\b${today()}-(\\d+)\\b`, "g"), "MMDD-$1");
}

async function tree(name) {
  const language = await page.evaluate(() => document.documentElement.lang);
  const seen = `${masked(await page.locator("body").ariaSnapshot())}\n`;
  const path = `${folder}${name}.${language}.yaml`;
  if (args.write) writeFileSync(path, seen);
  const golden = existsSync(path) ? readFileSync(path, "utf8") : "";
  if (golden !== seen) {
    writeFileSync(`${args.shots}/${name}.${language}.yaml`, seen);
    const [was, is] = [golden.split("\n"), seen.split("\n")];
    const at = is.findIndex((line, place) => line !== was[place]);
    throw new Error(`${path} differs at line ${at + 1}:\n  was ${was[at] ?? ""}\n  is  ${is[at] ?? ""}`);
  }
  return seen;
}

/** The tree in both languages; the language is Japanese again afterwards. */
async function both(name) {
  await tree(name);
  await page.evaluate(() => document.activeElement?.blur());
  await page.keyboard.press("v");
  await page.waitForSelector("html[lang=en]");
  await tree(name);
  await page.keyboard.press("v");
  await page.waitForSelector("html[lang=ja]");
}

/** Waits until the page has this theme and looks like it: its ground is dark, or it is light. */
async function themed(theme) {
  await page.waitForFunction((wanted) => {
    const [red, green, blue] = getComputedStyle(document.body).backgroundColor.match(/\d+/g).map(Number);
    return document.documentElement.dataset.theme === wanted && (red + green + blue > 3 * 128) === (wanted === "light");
  }, theme);
}

async function settled() {
  const { seq } = await page.evaluate(async () => (await fetch("/api/state")).json());
  await shows(page, seq);
  // The answers of commands fade; the tree is taken without them.
  await page.waitForFunction(() => !document.querySelector(".command.sending"));
}

try {
  for (const what of ["4017", "battery", "9999", "mails"]) await args.press(what);
  await step("log-in", async () => {
    await page.goto(args.url);
    await page.waitForSelector("html[data-ready='1']");
    await tree("login");
  });
  await step("desk with two signals that nobody has", async () => {
    await page.locator("#user").fill(args.user);
    await page.locator("#password").fill(args.password);
    await page.keyboard.press("Enter");
    await page.waitForSelector("html[data-seq]");
    await page.waitForFunction(() => document.querySelectorAll("#signals tbody tr").length === 2);
    await page.waitForFunction(async () => (await (await fetch("/api/state")).json()).mail.owed === 0);
    await settled();
    await both("desk");
  });
  await step("a signal in the detail pane", async () => {
    await page.keyboard.press("F10");
    await page.keyboard.press("Home");
    await both("signal");
  });
  await step("both themes give the same tree", async () => {
    const dark = masked(await page.locator("#detail").ariaSnapshot());
    await themed("dark");
    await page.keyboard.press("t");
    await themed("light");
    must(masked(await page.locator("#detail").ariaSnapshot()) === dark, "the trees differ");
    await page.keyboard.press("t");
    await themed("dark");
  });
  await step("the form that opens an incident", async () => {
    await page.keyboard.press("o");
    await page.waitForSelector(".form input[type=radio]:focus");
    await tree("form");
    await page.keyboard.press("q");
    await page.keyboard.press("Enter");
    await page.locator(".command.done").waitFor();
    await settled();
  });
  await step("an incident in the detail pane, and the help", async () => {
    await page.keyboard.press("F2");
    await page.keyboard.press("Home");
    await page.keyboard.press("?");
    await page.locator(".help").waitFor();
    await page.locator(".command").waitFor({ state: "detached", timeout: 30_000 });
    await both("incident");
  });
  await step("a call rings above all else", async () => {
    await page.keyboard.press("Escape");
    await args.call("mobile");
    await page.waitForSelector(".alarm:first-child:has-text('119')");
    await settled();
    await both("call");
  });
  await step("the form of a call", async () => {
    await page.keyboard.press("F9");
    await page.waitForSelector(".form.call input[role=combobox]:focus");
    await page.waitForFunction(async () => (await (await fetch("/api/state")).json()).signals.some((each) => each.call?.state === "connected"));
    await settled();
    await page.keyboard.type("小名浜住");
    await page.locator(".command").waitFor({ state: "detached", timeout: 30_000 });
    await tree("call-form");
    await page.keyboard.press("Escape");
    await both("call-answered");
    await page.keyboard.press("o");
  });
  await step("its incident, who should go, and who went", async () => {
    await page.waitForSelector(".form.call input[role=combobox]:focus");
    await page.keyboard.type("吉");
    for (const key of ["Enter", "k", "1", "Control+Enter"]) await page.keyboard.press(key);
    await page.waitForSelector("#recommend:focus");
    await page.locator("#recommend tbody tr").first().waitFor();
    await page.locator(".command").waitFor({ state: "detached", timeout: 30_000 });
    await settled();
    await both("recommended");
    await page.keyboard.press("F6");
    await page.locator("#recommend").focus();
    await page.keyboard.press("Enter");
    await page.locator("#detail .orders tbody tr").first().waitFor();
    await page.locator(".command").waitFor({ state: "detached", timeout: 30_000 });
    await settled();
    await both("ordered");
  });
  await step("a unit in the detail pane, and the command line", async () => {
    await page.keyboard.press("F4");
    await page.keyboard.press("Home");
    await both("unit");
    await page.keyboard.press("F8");
    await page.keyboard.type("AK 小名浜");
    await tree("line");
  });
  await step("words of a site in the detail pane, and the sites", async () => {
    await page.keyboard.press("Escape");
    await args.press("site");
    await page.waitForFunction(async () => (await (await fetch("/api/state")).json()).signals.some((each) => each.kind === "message"));
    await page.locator("#signals tr", { hasText: "川前支所" }).click();
    await page.mouse.move(0, 0);
    await page.keyboard.press("w");
    await page.keyboard.type("了解");
    await page.keyboard.press("Control+Enter");
    await page.locator(".talk-lines .ours").waitFor();
    await args.press("mails");
    await page.locator(".talk-lines .mail.accepted").waitFor();
    await page.locator(".command").waitFor({ state: "detached", timeout: 30_000 });
    await page.keyboard.press("F6");
    await page.keyboard.press("d");
    await page.waitForSelector("#sites:focus");
    await settled();
    await both("message");
  });
  await step("a notice: what it says, to how many, and the board", async () => {
    await page.keyboard.press("F2");
    await page.keyboard.press("Home");
    await page.keyboard.press("h");
    await page.waitForSelector("#notice-group:focus");
    await page.keyboard.type("dan-2-3");
    await page.locator("#notice-text").fill("集合: 詰所");
    await settled();
    await tree("notice-form");
    await page.locator("#notice-text").press("Control+Enter");
    await page.waitForSelector("#notice-preview:focus");
    await tree("notice-preview");
    await page.keyboard.press("Control+Enter");
    await page.locator("#notices tr.selected").waitFor();
    await args.press("mails");
    await page.locator("#detail .mail.accepted").first().waitFor();
    await args.press("answer-late");
    await page.locator("#detail .answer.late").waitFor();
    await page.locator(".command").waitFor({ state: "detached", timeout: 30_000 });
    await settled();
    await both("notice");
  });
  console.log("trees: passed");
} catch {
  console.log("trees: failed");
  process.exitCode = 1;
} finally {
  await browser.close();
  args.stop();
}
