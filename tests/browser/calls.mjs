// 119 by keyboard alone: calls ring, are answered and become incidents, units go, their times run,
// all is closed; drafts are kept and offered to another seat; a caller who gave up is called back.
//
//   npm run calls                     against the console's example
//   npm run calls -- --url http://127.0.0.1:8119 --user U --password P --shots DIR --call 'COMMAND'
//
// COMMAND is a caller, such as `hansho-sim caller --to 127.0.0.1:5060` (see `ways` in browser.mjs); the
// seat `desk1` then needs a phone, such as `hansho-sim phone`.
// Counts the keys from the answer to the order, beside the caller's words. Prints one line for each
// step; ends with 1 when a step failed.
import axe from "./axe.mjs";
import { downTo, hands, logIn, must, open, settings, stepper, witness } from "./browser.mjs";

/** From the answered call to the order, beside the caller's words. */
const KEYS_MAX = 12;
/** From the last key to the core, with the way there. */
const DRAFT_MS_MAX = 1_000;

const args = await settings();
if (!args.call) {
  console.error("--url needs --call COMMAND, a caller that stays on the line");
  process.exit(2);
}
const { browser, page, outside, errors } = await open(args);
const step = stepper(page, args.shots);
const shot = (name) => page.screenshot({ path: `${args.shots}/calls-${name}.png` });
const { world, until } = witness(page);
const { press, type, count } = hands(page);

const signalOf = (id) => (now) => now.signals.find((each) => each.id === id);
const incidentOf = (id) => (now) => now.incidents.find((each) => each.id === id);

/** Somebody calls; waits until it is on the screen. */
async function ring(what) {
  const before = new Set((await world()).signals.map((each) => each.id));
  await args.call(what);
  const signal = await until(`the ${what} call never rang`, (now) => now.signals.find((each) => each.kind === "call" && !before.has(each.id)));
  await page.locator(`#signals tr[data-id=${signal.id}]`).waitFor();
  return signal;
}

/** Carries out one line of commands. */
async function line(text) {
  await press("F8");
  await type(text);
  await page.locator(".meaning.ready").waitFor();
  await press("Enter");
  await page.waitForFunction(() => document.getElementById("line").value === "" && !document.querySelector(".command.sending"));
  must((await page.locator(".command.refused").count()) === 0, `${text}: ${await page.locator(".command.refused").allTextContents()}`);
}

async function clearAnswers() {
  for (const button of await page.locator(".command.refused button").all()) await button.click();
}

let call;
let incident;
let units = [];

try {
  await step("log in", () => logIn(page, args));

  await step("a call rings above all else", async () => {
    await args.press?.();
    call = await ring("mobile");
    const top = await page.locator("#signals tbody tr").first().getAttribute("data-id");
    must(top === call.id, `${top} is above the call`);
    must((await page.locator(".alarms [role=alert] p").first().textContent()).includes("119"), "the strip does not have it first");
    await shot("01-ringing-ja");
    return call.id;
  });

  await step("F9 answers it and opens the form, with the cursor at the place", async () => {
    await press("F9");
    await page.waitForSelector(".form.call input[role=combobox]:focus");
    const signal = await until("nobody has the call", (now) => (signalOf(call.id)(now).state === "answered" ? signalOf(call.id)(now) : null));
    must(signal.acknowledged?.position === "desk1", JSON.stringify(signal.acknowledged));
    await until("the two cannot speak", (now) => signalOf(call.id)(now).call.state === "connected");
  });

  await step("what is typed is at the core at once", async () => {
    await type("小名浜住吉 12-3");
    const typed = performance.now();
    await until("no draft at the core", (now) => now.drafts.find((each) => each.form === `call:${call.id}` && each.text.includes("12-3")));
    const took = performance.now() - typed;
    must(took < DRAFT_MS_MAX, `it took ${Math.round(took)} ms`);
    await shot("02-form-ja");
    return `${Math.round(took)} ms`;
  });

  await step("place, kind, words, and the incident is open", async () => {
    await press("Enter", "k", "1");
    await type("2階から煙 逃げ遅れ1");
    await shot("03-filled-ja");
    await press("Control+Enter");
    const id = await until("no incident", (now) => signalOf(call.id)(now).incident);
    incident = await until("the words are not in its record", (now) => (incidentOf(id)(now).notes.length ? incidentOf(id)(now) : null));
    must(incident.kind === "fire" && incident.subkind === "building", `${incident.kind} ${incident.subkind}`);
    must(incident.place.text === "小名浜住吉 12-3" && incident.place.confirmed && incident.place.lat, JSON.stringify(incident.place));
    must(incident.notes[0].text === "2階から煙 逃げ遅れ1", incident.notes[0].text);
    await until("the draft is still there", (now) => !now.drafts.some((each) => each.form === `call:${call.id}`));
    return `${incident.id}, number ${incident.number}`;
  });

  await step("who should go is recommended with reasons, Enter orders them", async () => {
    await page.waitForSelector("#recommend:focus");
    await page.locator("#recommend tbody tr").first().waitFor();
    await shot("04-recommended-ja");
    await press("Enter");
    const now = await until("no unit was ordered", (each) => (incidentOf(incident.id)(each).units.length ? each : null));
    units = incidentOf(incident.id)(now).units;
    must(now.units.filter((each) => each.assignment === incident.id).every((each) => each.status === "AL"), "not all of them are ordered");
    must(count.keys <= KEYS_MAX, `${count.keys} keys from the call to the order`);
    await shot("05-ordered-ja");
    return `${units.join(" ")}: ${count.keys} keys beside ${count.words} letters`;
  });

  await step("who was left out stays out, however long Enter is held", async () => {
    const now = await world();
    // Where the plan takes one unit alone, one goes beside it that the plan did not ask for.
    const spare = now.units.find((each) => each.availability === "AV" && !each.status && each.abilities.includes("ambulance"));
    const [out, goes = spare.id] = units;
    await line(`C ${units.slice(0, 2).join(" ")}`);
    await line(`RE ${incident.number}`);
    const choice = (unit, pressed) => page.locator(`#recommend tr[data-id="${unit}"] button[aria-pressed=${pressed}]`);
    const has = (unit) => (now) => now.units.find((each) => each.id === unit).assignment === incident.id;
    for (const unit of units.slice(0, 2)) await choice(unit, true).waitFor();
    await choice(out, true).click();
    if (!units.includes(goes)) await choice(goes, false).click();
    await page.locator("#recommend").focus();
    const asked = page.waitForResponse((answer) => answer.url().endsWith("/recommendation"));
    await page.keyboard.down("Enter");
    await until(`${goes} was not ordered`, has(goes));
    await asked;
    // Down again without an up: the browser says that it repeats.
    for (let times = 0; times < 5; times += 1) await page.keyboard.down("Enter");
    await page.keyboard.up("Enter");
    await choice(out, false).waitFor();
    must(await page.locator("#recommend button.primary").isDisabled(), "there is still somebody to order");
    await page.keyboard.press("Enter");
    must(!has(out)(await world()), `${out} was ordered after all`);
    await choice(out, false).click();
    await page.locator("#recommend").focus();
    await page.keyboard.press("Enter");
    await until(`${out} was not ordered when it was put back`, has(out));
    if (!units.includes(goes)) await line(`C ${goes}`);
  });

  await step("their times run by the command line, several at once", async () => {
    const all = units.join(" ");
    for (const status of ["AK", "ER", "現着"]) await line(`${status} ${all}`);
    await line(`WK ${units[0]}`);
    const wanted = ["AL", "AK", "ER", "OS", "WK"];
    const reached = (now) => wanted.every((status) => now.units.find((each) => each.id === units[0]).times[status]);
    await until(`${units[0]} has not all its times`, reached);
    const now = await world();
    must(now.units.filter((each) => units.includes(each.id)).every((each) => each.times.OS), "not all are there");
    await shot("06-at-scene-ja");
  });

  await step("the command line says what is wrong where it is, and completes", async () => {
    await press("F8");
    await type("D 小名浜");
    await page.locator("#line-choices [role=option]").first().waitFor();
    await shot("07-choices-ja");
    await press("Enter");
    must((await page.locator("#line").inputValue()) === "D 小名浜", "an ambiguous word was carried out");
    await press("Tab");
    must(/^D 小名浜\S+ /.test(await page.locator("#line").inputValue()), "Tab does not complete");
    await press("Control+a", "Delete", "Escape");
  });

  await step("Enter and Esc belong to the Japanese input while it composes", async () => {
    const input = await page.context().newCDPSession(page);
    await press("F8");
    await input.send("Input.imeSetComposition", { text: "認", selectionStart: 1, selectionEnd: 1 });
    await page.locator(".meaning.ready").waitFor();
    for (const key of ["Enter", "Escape"]) await page.locator("#line").dispatchEvent("keydown", { key, isComposing: true, bubbles: true });
    must((await page.locator("#line").inputValue()) === "認", "a composition was carried out");
    must(await page.locator("#line").evaluate((line) => line === document.activeElement), "a composition was left");
    await input.send("Input.insertText", { text: "認" });
    await press("Control+a", "Delete", "Escape");
  });

  await step("the map goes there and back, and only when asked", async () => {
    // What is drawn there, and how much ground a line of it is.
    const seen = async () => `${await page.locator(".map-box").getAttribute("aria-label")} ${await page.locator(".leaflet-control-scale-line").textContent()}`;
    await press("F2", "Home", "F7");
    await page.locator(".map-box").waitFor();
    const before = await seen();
    must(/\d0 km/.test(before), `the city is not in view: ${before}`);
    await press("g");
    await page.waitForFunction(() => !/\d0 km/.test(document.querySelector(".leaflet-control-scale-line").textContent));
    await shot("08-map-ja");
    await press("Backspace");
    await page.waitForFunction(() => /\d0 km/.test(document.querySelector(".leaflet-control-scale-line").textContent));
    must((await seen()) === before, `${await seen()} is not ${before}`);
  });

  let second;
  await step("another caller of the same event joins it by one key", async () => {
    second = await ring("cell");
    await press("F9");
    await page.locator(".similar button").waitFor();
    await type("小名浜住吉");
    await shot("09-similar-ja");
    await press("Alt+j");
    await until("it did not join", (now) => signalOf(second.id)(now).incident === incident.id);
  });

  await step("a call without a readable place rings all the same", async () => {
    const unread = await ring("unread");
    await press("F9");
    await page.waitForSelector(".form.call input[role=combobox]:focus");
    await type("高い煙突の見える公園");
    await press("Escape");
    await page.locator(`#signals tr[data-id=${unread.id}] .draft`).waitFor();
    await shot("10-unread-ja");
    await page.reload();
    await page.waitForSelector("html[data-seq]");
    await press("F10", "Home");
    await downTo(page, "signals", unread.id, press);
    await press("o");
    must((await page.locator(".form.call input[role=combobox]").inputValue()) === "高い煙突の見える公園", "the draft is gone");
    return unread.id;
  });

  await step("another seat is offered the draft", async () => {
    const other = await browser.newContext({ viewport: { width: 1280, height: 800 }, locale: "ja-JP" });
    const seat = await other.newPage();
    await logIn(seat, args);
    const id = await page.locator(".form.call h3 .mono").textContent();
    await seat.locator(`#signals tr[data-id=${id}]`).click();
    await seat.keyboard.press("o");
    await seat.locator(".offer button").click();
    must((await seat.locator(".form.call input[role=combobox]").inputValue()) === "高い煙突の見える公園", "the other seat does not get it");
    await other.close();
  });

  await step("it ends with an outcome", async () => {
    const id = await page.locator(".form.call h3 .mono").textContent();
    await press("Escape", "e");
    await page.waitForSelector(".form input[type=radio]:focus");
    await press("3", "Enter");
    await until("it has no outcome", (now) => signalOf(id)(now).outcome === "not_emergency");
  });

  await step("a caller who gave up is called back", async () => {
    const gone = await ring("gone");
    await until("it is not shown as given up", (now) => signalOf(gone.id)(now).state === "abandoned");
    await page.locator(`#signals tr[data-id=${gone.id}] .due`).waitFor();
    await shot("11-abandoned-ja");
    await press("F10", "Home", "b");
    await page.waitForSelector(".form input[type=radio]:focus");
    await press("2", "Enter");
    await until("the try is not recorded", (now) => signalOf(gone.id)(now).call.callbacks.length === 1);
    await press("b");
    await page.waitForSelector(".form input[type=radio]:focus");
    await press("1", "Enter");
    await page.waitForSelector(".form.call");
    await press("Escape", "e");
    await page.waitForSelector(".form input[type=radio]:focus");
    await press("7", "Enter");
    await until("it has no outcome", (now) => signalOf(gone.id)(now).outcome === "nothing_found");
  });

  await step("both languages and themes, without a violation", async () => {
    await press("F2", "Home");
    for (const [language, theme] of [["ja", "dark"], ["ja", "light"], ["en", "light"], ["en", "dark"]]) {
      const now = await page.evaluate(() => [document.documentElement.lang, document.documentElement.dataset.theme]);
      if (now[0] !== language) await press("v");
      if (now[1] !== theme) await press("t");
      await page.waitForSelector(`html[lang=${language}][data-theme=${theme}]`);
      const faults = await axe(page);
      must(faults.length === 0, `${language} ${theme}: ${faults.join("; ")}`);
      await shot(`12-${theme}-${language}`);
    }
  });

  await step("all is closed by the command line", async () => {
    await line(`C ${units.join(" ")}`);
    await line(`IN ${units.join(" ")}`);
    await line(`NT ${incident.number} 鎮火 全隊引揚`);
    await line(`CL ${incident.number} 1`);
    const now = await until("it is not closed", (each) => (incidentOf(incident.id)(each).state === "closed" ? each : null));
    must(incidentOf(incident.id)(now).outcome === "handled", incidentOf(incident.id)(now).outcome);
    must(now.units.every((each) => each.assignment !== incident.id), "a unit still has it");
    must(now.signals.every((each) => each.kind !== "call" || each.state === "ended"), "a call is not ended");
    await shot("13-closed-en");
    return `${count.keys} keys beside ${count.words} letters in all`;
  });

  await step("nothing came from outside, nothing broke in the page", async () => {
    must(outside.length === 0, outside.join(" "));
    const real = errors.filter((each) => !/net::ERR_|Failed to load resource/.test(each));
    must(real.length === 0, real.join(" | "));
  });
  console.log("calls: passed");
} catch {
  console.log("calls: failed");
  await clearAnswers().catch(() => {});
  process.exitCode = 1;
} finally {
  await browser.close();
  args.stop();
}
