// axe-core in the page, past the page's own policy: injected by the browser's tooling.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const source = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

/** One line for each violation. */
export default async function axe(page) {
  await page.evaluate(source);
  const { violations } = await page.evaluate(() =>
    globalThis.axe.run(document, { runOnly: ["wcag2a", "wcag2aa", "wcag21aa", "wcag22aa", "best-practice"] }),
  );
  return violations.map(({ id, nodes }) => `${id} at ${nodes.slice(0, 3).map((node) => `${node.target.join(" ")} [${(node.any[0] ?? node.all[0] ?? node.none[0])?.message ?? ""}]`).join(", ")}`);
}
