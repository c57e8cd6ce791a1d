// Words of a site over a satellite come in and are answered; a notice goes to a group: written,
// counted, sent, answered, corrected and withdrawn. By keys; both languages and themes.
//
//   npm run notices                   against the console's example
//   npm run notices -- --url http://127.0.0.1:8119 --user U --password P --shots DIR \
//     --satphone 'COMMAND' --mailbox 'COMMAND' --mails http://127.0.0.1:8025 --supervisor U:P --viewer U:P
//
// The commands are those of `hansho-sim satphone --port PORT` and `hansho-sim mailbox`. Prints one line
// for each step; ends with 1 when a step failed.
import axe from "./axe.mjs";
import { downTo, logIn, must, open, settings, stepper, witness } from "./browser.mjs";

const args = await settings();
if (!args.words) {
  console.error("--url needs --satphone, --mailbox and --mails");
  process.exit(2);
}
const { browser, context, page, outside, errors } = await open(args);
const step = stepper(page, args.shots);
const shot = (name) => page.screenshot({ path: `${args.shots}/notices-${name}.png` });
const { world, until } = witness(page);
const press = async (...keys) => {
  for (const key of keys) await page.keyboard.press(key);
};
const SITE = "sbd:300000000000111";
const WORDS = "道路寸断 負傷2 孤立12世帯";

const noticeOf = (id) => (now) => now.notices.find((each) => each.id === id);
/** The newest notice of a person that is none of these. */
const freshOf = (known) => (now) => now.notices.find((each) => each.letter && !known.has(each.id));
const sum = ({ queued, accepted, uncertain, failed, stopped }) => queued + accepted + uncertain + failed + stopped;

/** Writes what is in a field anew. */
async function rewrite(selector, text) {
  await page.locator(selector).focus();
  await press("Control+a");
  await page.keyboard.type(text);
}

/** Japanese and English, dark and light; ends as it began. */
async function shots(name) {
  await page.evaluate(() => document.activeElement?.blur());
  await shot(`${name}-ja`);
  const dark = await axe(page);
  must(dark.length === 0, `${name}: ${dark.join("; ")}`);
  const overflow = await page.evaluate(() => document.documentElement.scrollWidth > innerWidth || document.documentElement.scrollHeight > innerHeight);
  must(!overflow, `${name}: the page has scroll bars`);
  await page.getByRole("button", { name: "明", exact: true }).click();
  await page.getByRole("button", { name: "English" }).click();
  await page.waitForSelector("html[lang=en][data-theme=light]");
  await shot(`${name}-en-light`);
  const light = await axe(page);
  must(light.length === 0, `${name}, light: ${light.join("; ")}`);
  await page.locator(".status button[lang=ja]").click();
  await page.getByRole("button", { name: "暗", exact: true }).click();
  await page.waitForSelector("html[lang=ja][data-theme=dark]");
}

let signal;
let incident;
let first;
let second;
let count = 0;

try {
  await step("log in", () => logIn(page, args));

  await step("words of a site come to the screen in full", async () => {
    const before = new Set((await world()).signals.map((each) => each.id));
    await args.words();
    signal = await until("the message never came", (now) => now.signals.find((each) => each.kind === "message" && !before.has(each.id)));
    const row = page.locator(`#signals tr[data-id=${signal.id}]`);
    await row.waitFor();
    must((await row.textContent()).includes("川前支所"), "the list does not say which site");
    await press("F10", "Home");
    await downTo(page, "signals", signal.id);
    must((await page.locator("#detail .message .words").textContent()) === WORDS, "the detail does not have the words in full");
    await press("F6", "Tab", "Enter");
    await until("nobody has it", (now) => now.signals.find((each) => each.id === signal.id && each.state === "answered"));
    return `${signal.id} of ${signal.site}`;
  });

  await step("a reply is counted in bytes and kept as a draft", async () => {
    await press("w");
    await page.waitForSelector("#reply:focus");
    await page.keyboard.type("火".repeat(101));
    must((await page.locator("#reply-size").textContent()).startsWith("303/300"), "the bytes are not counted");
    await press("Control+Enter");
    await page.locator("#reply-said .warn").waitFor();
    must(!(await world()).messages.length, "a message that is too long was sent");
    await rewrite("#reply", "了解。防災ヘリ要請中。");
    await page.waitForFunction(async (form) => (await (await fetch("/api/state")).json()).drafts.some((each) => each.form === form), `message:${SITE}`);
    await page.reload();
    await page.waitForSelector("html[data-seq]");
    await press("F10", "Home");
    await downTo(page, "signals", signal.id);
    must((await page.locator("#reply").inputValue()) === "了解。防災ヘリ要請中。", "the draft is gone");
  });

  await step("it goes, and nothing says that it was delivered", async () => {
    await press("w", "Control+Enter");
    await until("the core has no message", (now) => now.messages.find((each) => each.device === SITE));
    await page.waitForFunction(() => document.getElementById("reply")?.value === "");
    if (args.isExample) await shots("message-queued");
    if (args.isExample) await args.post();
    const sent = await until("the network never took it", (now) => now.messages.find((each) => each.device === SITE && each.state === "accepted"));
    const line = page.locator(".talk-lines .ours", { hasText: sent.id });
    must((await line.textContent()).includes("衛星網が受付"), "the list does not say that the network has it");
    await until("the draft stays", (now) => !now.drafts.some((each) => each.form === `message:${SITE}`));
    await shots("message");
  });

  await step("the sites, by key", async () => {
    await press("F6", "d");
    await page.waitForSelector("#sites:focus");
    await press("Home");
    const faulty = await page.locator("#sites .warning").count();
    must(args.isExample || faulty === 0, "the modem is said to be broken");
    must(await page.locator("#detail #reply").count(), "no way to write to a site without a signal");
    await shots("sites");
  });

  await step("its incident is a disaster unless somebody says otherwise", async () => {
    await press("F10", "Home");
    await downTo(page, "signals", signal.id);
    await press("o");
    await page.waitForSelector(".form input[value=disaster]:focus");
    must(await page.locator(".form input[value=disaster]").isChecked(), "it is not chosen");
    await press("Enter");
    incident = (await until("there is no incident", (now) => now.signals.find((each) => each.id === signal.id && each.incident))).incident;
    const made = (await world()).incidents.find((each) => each.id === incident);
    must(made.kind === "disaster" && made.place.district === 12, JSON.stringify(made.place));
  });

  await step("a notice is written for it", async () => {
    await press("F2", "Home");
    await downTo(page, "incidents", incident);
    await press("h");
    await page.waitForSelector("#notice-group:focus");
    await page.keyboard.type("dan-2-3");
    must(await page.locator("input[name=letter][value=call_out]").isChecked(), "a call-out is not chosen");
    await press("Control+Enter");
    await page.locator(".compose .hint .warn").waitFor();
    must((await page.evaluate(() => document.activeElement?.id)) === "notice-text", "the cursor is not where something is missing");
    await rewrite("#notice-subject", "川前 道路寸断 救出支援");
    await rewrite("#notice-text", "集合: 川前支所前\n道具: チェーンソー、担架");
    await shots("compose");
    await page.reload();
    await page.waitForSelector("html[data-seq]");
    await press("F2", "Home");
    await downTo(page, "incidents", incident);
    await press("h");
    await page.waitForSelector("#notice-subject:focus");
    must((await page.locator("#notice-text").inputValue()).includes("担架"), "the draft is gone");
  });

  await step("before it goes it says to how many of whom", async () => {
    const group = (await world()).groups.find((each) => each.key === "dan-2-3");
    count = group.count;
    await press("Control+Enter");
    await page.waitForSelector("#notice-preview:focus");
    const said = await page.locator("#notice-preview").textContent();
    must(said.includes(`第二支団 第3分団の ${count} 人に送ります`), said);
    must(said.includes("【出動指令】川前 道路寸断 救出支援") && said.includes("集合: 川前支所前"), `the phone is not shown: ${said}`);
    must(!(await world()).notices.some((each) => each.letter), "something was sent by the preview");
    await shots("preview");
    await page.locator("#notice-preview").focus();
    await press("Escape");
    await page.waitForSelector("#notice-subject:focus");
    await press("Control+Enter");
    await page.waitForSelector("#notice-preview:focus");
    return `${count} people`;
  });

  await step("when they are counted otherwise it asks again", async () => {
    await page.route("**/api/commands", async (route) => {
      const sent = route.request().postDataJSON();
      if (sent.kind !== "SendNotice") return route.continue();
      await route.continue({ postData: JSON.stringify({ ...sent, body: { ...sent.body, count: count + 1 } }) });
    });
    await press("Control+Enter");
    await page.locator("#notice-preview [role=alert]").waitFor();
    await page.unroute("**/api/commands");
    must(!(await world()).notices.some((each) => each.letter), "it was sent all the same");
  });

  await step("it is sent, and stands on the board", async () => {
    const known = new Set((await world()).notices.map((each) => each.id));
    await press("Control+Enter");
    first = await until("there is no notice", freshOf(known));
    must(sum(first.outcomes) === count && first.letter.incident === incident && !first.letter.drill, JSON.stringify(first.letter));
    await page.locator(`#notices tr.selected[data-id=${first.id}]`).waitFor();
    await until("the draft stays", (now) => !now.drafts.some((each) => each.form.startsWith("notice:")));
    await args.post();
    await until("the mails do not go", (now) => noticeOf(first.id)(now).outcomes.accepted === count);
    return first.id;
  });

  await step("an answer arrives; who says nothing is not said to stay away", async () => {
    await args.answer("coming");
    await until("the answer never came", (now) => noticeOf(first.id)(now).answers.coming === 1);
    const answers = (await world()).notices.find((each) => each.id === first.id).answers;
    must(answers.silent === count - 1 && answers.cannot === 0, JSON.stringify(answers));
    must((await page.locator("#detail .notice").textContent()).includes(`来られない 0・到着 0・未回答 ${count - 1}`), "the sums are not shown");
    await shots("board");
  });

  await step("it is corrected", async () => {
    await page.locator("#detail .actions button", { hasText: "訂正" }).focus();
    await press("Enter");
    await page.waitForSelector("#notice-subject:focus");
    must((await page.locator("#notice-text").inputValue()).includes("川前支所前"), "the form does not begin with what stood before");
    must(await page.locator("#notice-group").isDisabled(), "a correction may go to another group");
    await rewrite("#notice-text", "集合: 川前小学校\n道具: チェーンソー、担架");
    await press("Control+Enter");
    await page.waitForSelector("#notice-preview:focus");
    must((await page.locator(".phone strong").textContent()).includes("【訂正】【出動指令】"), "the phone does not say that it is a correction");
    await shot("correct-ja");
    const known = new Set((await world()).notices.map((each) => each.id));
    await press("Control+Enter");
    second = await until("there is no correction", freshOf(known));
    must(second.letter.replaces === first.id && second.letter.replacing === "correction" && sum(second.outcomes) === count, JSON.stringify(second.letter));
    await page.locator(`#notices tr[data-id=${first.id}] td.struck`).waitFor();
    if (args.isExample) await args.post();
    await until("the correction does not go", (now) => noticeOf(second.id)(now).outcomes.accepted === count);
    await page.locator(`#notices tr.selected[data-id=${second.id}]`).waitFor();
  });

  await step("it is withdrawn, and says what was withdrawn", async () => {
    await page.locator("#detail .actions button", { hasText: "取消" }).focus();
    await press("Enter");
    await page.waitForSelector(".form textarea:focus");
    must((await page.locator(".says").textContent()).includes("川前 道路寸断 救出支援"), "the form does not say what is withdrawn");
    await shots("withdraw");
    await page.locator(".form textarea").focus();
    const known = new Set((await world()).notices.map((each) => each.id));
    await press("Control+Enter");
    const third = await until("there is no withdrawal", freshOf(known));
    must(third.letter.replaces === second.id && third.letter.replacing === "withdrawal", JSON.stringify(third.letter));
    await page.locator("#detail .earlier .struck").waitFor();
    if (args.isExample) await args.post();
    must((await page.locator(`#notices tr[data-id=${second.id}]`).textContent()).includes("取消済"), "the board does not say that it was withdrawn");
    await shots("withdrawn");
  });

  await step("the incident shows its notices and their answers", async () => {
    await press("F2", "Home");
    await downTo(page, "incidents", incident);
    must((await page.locator("#detail .notice").count()) === 3, "it shows other notices");
    must((await page.locator("#detail").textContent()).includes("来る 1"), "it does not show the answer");
    await shots("incident");
  });

  await step("a drill is said everywhere, at this seat alone", async () => {
    await press("h");
    await page.waitForSelector("#notice-group:focus");
    await press("Tab", "Space");
    await page.locator(".top .drill-banner").waitFor();
    await page.locator(".compose .drill-banner").waitFor();
    await page.locator("#notice-group").focus();
    await page.keyboard.type("dan-2-3");
    await rewrite("#notice-text", "訓練の本文");
    await press("Control+Enter");
    await page.waitForSelector("#notice-preview:focus");
    must((await page.locator(".phone strong").textContent()).startsWith("【デモ・実際の災害ではありません】【訓練】"), "the phone does not say that it is a drill");
    await shots("drill");
    await page.locator("#notice-preview").focus();
    await press("Escape");
    await page.waitForSelector("#notice-group");
    await page.locator("#notice-group").focus();
    await press("Tab", "Space");
    await page.locator(".drill-banner").first().waitFor({ state: "detached" });
    await press("Escape");
  });

  await step("a supervisor may publish", async () => {
    if (!args.supervisor) return "left out";
    const [user, password] = args.supervisor.split(":");
    await page.getByRole("button", { name: "ログアウト" }).click();
    await logIn(page, { ...args, user, password });
    await press("i");
    await page.waitForSelector("#notices:focus");
    await press("Home", "h");
    await page.waitForSelector("#notice-group:focus");
    await page.keyboard.type("dan-all");
    await page.locator("input[name=letter][value=information]").focus();
    await press("Space");
    await rewrite("#notice-subject", "大雨への備え");
    await rewrite("#notice-text", "各自、詰所の連絡網を確認のこと。");
    await page.getByLabel("公開文も出す").focus();
    await press("Space");
    await rewrite("#notice-public-headline", "大雨に注意");
    await rewrite("#notice-public-text", "川の近くの方は早めに高い所へ。");
    await page.locator("#notice-public-severity").selectOption("moderate");
    await page.locator("input[name=district]").nth(1).focus();
    await press("Space");
    await shots("public");
    await page.locator("#notice-subject").focus();
    await press("Control+Enter");
    await page.waitForSelector("#notice-preview:focus");
    await shots("public-preview");
    const known = new Set((await world()).notices.map((each) => each.id));
    await page.locator("#notice-preview").focus();
    await press("Control+Enter");
    const said = await until("it was not sent", freshOf(known));
    must(said.letter.public?.districts[0] === 2 && said.letter.public.severity === "moderate", JSON.stringify(said.letter.public));
    await page.locator(`#notices tr.selected[data-id=${said.id}]`).waitFor();
  });

  await step("a viewer sees that there are notices and messages, and no words", async () => {
    if (!args.viewer) return "left out";
    const [user, password] = args.viewer.split(":");
    await page.getByRole("button", { name: "ログアウト" }).click();
    await logIn(page, { ...args, user, password });
    await press("i", "Home");
    await page.locator("#notices tbody tr").first().waitFor();
    await shot("viewer-ja");
    const seen = await page.locator("body").textContent();
    for (const words of ["担架", "道路寸断", "防災ヘリ", "連絡網"]) must(!seen.includes(words), `a viewer reads ${words}`);
    must((await page.getByText("配信を作る").count()) === 0, "a viewer may write");
    await press("d", "Home");
    await downTo(page, "sites", SITE);
    must((await page.locator("#reply").count()) === 0, "a viewer may write to a site");
    must((await page.locator("#detail .talk-lines").textContent()).includes("この画面では非表示"), "it is not said that something is hidden");
  });

  await step("nothing came from outside, nothing broke in the page", async () => {
    must(outside.length === 0, outside.join(" "));
    const real = errors.filter((each) => !/net::ERR_|Failed to load resource/.test(each));
    must(real.length === 0, real.join(" | "));
  });
  console.log("notices: passed");
} catch {
  console.log("notices: failed");
  process.exitCode = 1;
} finally {
  await context.close();
  await browser.close();
  args.stop();
}
