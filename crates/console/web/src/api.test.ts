import { readFileSync } from "node:fs";
import openapiTS, { astToString } from "openapi-typescript";
import { expect, test } from "vitest";

test("api.ts is fresh: after a change of openapi.json run `npm run api`", async () => {
  const made = astToString(await openapiTS(new URL("../../openapi.json", import.meta.url)));
  const committed = readFileSync("src/api.ts", "utf8");
  expect(committed.endsWith(made)).toBe(true);
});
