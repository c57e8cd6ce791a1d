// A shift in small: log in, see an alarm, acknowledge it, open an incident, note, close it, all by
// keys; both languages, both themes; what is typed is kept; nothing comes from outside.
//
//   npm run flow                      against the console's example
//   npm run flow -- --url http://127.0.0.1:8119 --user U --password P --shots DIR --press 'COMMAND'
//
// COMMAND lets a pendant call once; with `--url` and without it, a signal that nobody has yet must
// be there already. Prints one line for each step; ends with 1 when a step failed.
import axe from "./axe.mjs";
import { cable } from "./cable.mjs";
import { downTo, must, open, settings, shows, stepper } from "./browser.mjs";

const args = await settings();
const line = await cable(args.url);
args.url = line.url;
const { browser, page, outside, errors } = await open(args);
const step = stepper(page, args.shots);
const shot = (name) => page.screenshot({ path: `${args.shots}/${name}.png` });
const world = () => page.evaluate(async () => (await fetch("/api/state")).json());
let target = "";
let incident = "";

/** The number in the newest line of the command answers. */
async function answered(kind) {
  const line = page.locator(".command.done", { hasText: kind }).last();
  await line.waitFor();
  const seq = Number(/#(\d+)/.exec(await line.textContent())[1]);
  await shows(page, seq);
  return seq;
}

try {
  await step("the log-in page is there", async () => {
    await page.goto(args.url);
    await page.waitForSelector("html[data-ready='1']");
    await page.waitForSelector("#user:focus");
    await shot("01-login-ja");
  });

  await step("a wrong password is refused in words", async () => {
    await page.keyboard.type(args.user);
    await page.keyboard.press("Tab");
    await page.keyboard.type(`${args.password}x`);
    await page.keyboard.press("Enter");
    await page.getByText("ログイン名かパスワードが違います。").waitFor();
  });

  await step("the right one opens the console", async () => {
    await page.locator("#password").fill(args.password);
    await page.keyboard.press("Enter");
    await page.waitForSelector("html[data-seq]");
    await page.waitForSelector("#signals");
    const cookies = await page.context().cookies();
    const cookie = cookies.find((each) => each.name === "hansho_session");
    must(cookie?.httpOnly && cookie.sameSite === "Strict", "the cookie is not HttpOnly and Strict");
    must((await page.evaluate(() => document.cookie)) === "", "a script can read the cookie");
  });

  await step("an alarm comes to the screen by itself", async () => {
    const before = new Set((await world()).signals.map((each) => each.id));
    await args.press?.();
    await page.waitForSelector(".alarms .alarm");
    const after = (await world()).signals;
    const fresh = after.find((each) => !before.has(each.id)) ?? after.find((each) => each.state === "ringing");
    must(fresh, "there is no signal that nobody has");
    // `A` takes the top one: the most urgent, then the oldest.
    target = await page.evaluate(() => document.querySelector("#signals tbody tr")?.dataset.id ?? "");
    must(target, "the list is empty");
    const announced = await page.locator(".alarms [role=alert]").textContent();
    must(announced.includes("RG"), "the strip does not announce it");
    await shot("02-alarm-ja");
    return `${fresh.id} of ${fresh.device}`;
  });

  await step("no one's focus is taken away by an alarm", async () => {
    const focused = await page.evaluate(() => document.activeElement?.id || document.activeElement?.tagName);
    must(focused === "BODY" || focused === "signals", `the focus went to ${focused}`);
  });

  await step("key A acknowledges the top signal", async () => {
    await page.keyboard.press("a");
    await answered("確認");
    const signal = (await world()).signals.find((each) => each.id === target);
    must(signal.state === "answered" && signal.acknowledged, `${target} is ${signal.state}`);
    await page.locator("#detail .code.AN").waitFor();
    await shot("03-acknowledged-ja");
    return `${target} by ${signal.acknowledged.by}`;
  });

  await step("a form keeps what was typed, through a reload", async () => {
    await page.keyboard.press("o");
    await page.waitForSelector(".form input[type=radio]:focus");
    await page.keyboard.press("q");
    await page.keyboard.type("2階の寝室");
    await shot("04-open-form-ja");
    await page.reload();
    await page.waitForSelector("html[data-seq]");
    await page.locator(`#signals tr[data-id=${target}] .draft`).waitFor();
    await page.keyboard.press("F10");
    await page.keyboard.press("Home");
    await downTo(page, "signals", target);
    await page.keyboard.press("o");
    must((await page.locator(".form .wide input").inputValue()) === "2階の寝室", "the draft is gone");
    must(await page.locator(".form input[value=ems]").isChecked(), "the choice is gone");
  });

  await step("the form opens an incident", async () => {
    await page.locator(".form .wide input").press("Enter");
    await answered("事案を開始");
    const now = await world();
    const signal = now.signals.find((each) => each.id === target);
    must(signal.outcome === "new_incident" && signal.incident, `${target}: ${signal.outcome}`);
    incident = signal.incident;
    const made = now.incidents.find((each) => each.id === incident);
    must(made.kind === "ems" && made.place.text === "2階の寝室", JSON.stringify(made.place));
    return `${incident}, number ${made.number}`;
  });

  await step("a note is added to its record", async () => {
    await page.keyboard.press("F2");
    await page.keyboard.press("Home");
    await downTo(page, "incidents", incident);
    await page.keyboard.press("n");
    await page.keyboard.type("呼びかけに応答あり");
    await page.keyboard.press("Enter");
    await answered("記録 ");
    await page.locator(".notes li", { hasText: "呼びかけに応答あり" }).waitFor();
    await shot("05-incident-ja");
  });

  await step("V switches to English without a reload", async () => {
    await page.keyboard.press("v");
    await page.getByRole("heading", { name: "Incidents" }).waitFor();
    must((await page.evaluate(() => document.documentElement.lang)) === "en", "the page's language is not said");
    await shot("06-incident-en");
  });

  await step("C and a digit close the incident", async () => {
    await page.keyboard.press("c");
    await page.waitForSelector(".form input[type=radio]:focus");
    await page.keyboard.press("1");
    await page.keyboard.type("Helper stays with the person");
    await shot("07-close-form-en");
    await page.keyboard.press("Enter");
    await answered("Close the incident");
    const closed = (await world()).incidents.find((each) => each.id === incident);
    must(closed.state === "closed" && closed.outcome === "handled", `${incident} is ${closed.state}`);
    await shot("08-closed-en");
  });

  await step("the light theme and the help", async () => {
    await page.keyboard.press("t");
    await page.keyboard.press("?");
    await page.locator(".help").waitFor();
    await shot("09-light-help-en");
    await page.keyboard.press("Escape");
    await page.keyboard.press("v");
    await page.locator(`#signals tr[data-id=${target}]`).click();
    await shot("10-light-signal-ja");
  });

  await step("axe-core finds no violation in either theme", async () => {
    for (const theme of ["light", "dark"]) {
      const faults = await axe(page);
      must(faults.length === 0, `${theme}: ${faults.join("; ")}`);
      await page.keyboard.press("t");
    }
  });

  await step("a lost link says so, and the screen is right again afterwards", async () => {
    await page.keyboard.press("t");
    line.cut();
    await page.locator(".lost-banner").waitFor();
    await shot("11-link-lost-ja");
    await args.press?.();
    line.mend();
    await page.locator(".lost-banner").waitFor({ state: "detached" });
    const { seq, signals } = await world();
    await shows(page, seq);
    const rows = await page.locator("#signals tbody tr").count();
    must(rows === signals.length, `${rows} rows for ${signals.length} signals`);
    return `at #${seq}`;
  });

  await step("a log-off ends the session on the server", async () => {
    await page.getByRole("button", { name: "ログアウト" }).click();
    await page.waitForSelector("#user");
    must((await page.evaluate(async () => (await fetch("/api/me")).status)) === 401, "the session is still open");
  });

  await step("nothing came from outside, nothing broke in the page", async () => {
    must(outside.length === 0, outside.join(" "));
    const real = errors.filter((each) => !/net::ERR_|Failed to load resource/.test(each));
    must(real.length === 0, real.join(" | "));
  });
  console.log("flow: passed");
} catch {
  console.log("flow: failed");
  process.exitCode = 1;
} finally {
  await browser.close();
  line.close();
  args.stop();
}
