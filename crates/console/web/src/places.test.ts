import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { candidates, coordinates, districts, exactly, metres, nearest, outline, placeOf, places, pointOf } from "./places";

const names = (text: string) => candidates(text).map((each) => each.name);

test("the name itself first, then names that begin so, then what it begins with", () => {
  expect(names("小名浜").slice(0, 3)).toEqual(["小名浜", "小名浜古港", "小名浜住吉"]);
  expect(names("小名浜住")).toEqual(["小名浜住吉", "小名浜"]);
  expect(names("小名浜住吉 12-3")).toEqual(["小名浜住吉", "小名浜"]);
  expect(names("住吉")).toEqual(["小名浜住吉"]);
  expect(names("onah")).toEqual(["小名浜"]);
  expect(names("")).toEqual([]);
  expect(names("どこでもない")).toEqual([]);
});

test("a point with a house number is that point; a district or a longer name is never guessed", () => {
  expect(exactly("小名浜住吉")?.name).toBe("小名浜住吉");
  expect(exactly("小名浜住吉１２－３")?.name).toBe("小名浜住吉");
  expect(exactly("平字梅本 1")?.name).toBe("平字梅本");
  expect(exactly("小名浜住吉町")).toBeUndefined();
  expect(exactly("小名浜大原")).toBeUndefined();
  expect(exactly("小名浜")).toBeUndefined();
});

test("coordinates as they are said", () => {
  expect(coordinates("36.9758, 140.8861")).toEqual({ lat: 36.9758, lon: 140.8861 });
  expect(coordinates("３６．９７５８、１４０．８８６１")).toEqual({ lat: 36.9758, lon: 140.8861 });
  expect(coordinates("136.9, 40.1")).toBeUndefined();
  expect(coordinates("12-3")).toBeUndefined();
});

test("a place that was picked is found again by its name alone", () => {
  const point = { name: "36.9758, 140.8861", lat: 36.9758, lon: 140.8861, radius_m: 50, district: 0 };
  expect(pointOf(" 36.9758, 140.8861 "), "as the field makes it").toEqual(point);
  expect(placeOf("36.9758, 140.8861")).toEqual(point);
  expect(placeOf("小名浜住吉")).toMatchObject({ name: "小名浜住吉", district: 2 });
  expect(placeOf("小名浜住吉 12-3")).toBeUndefined();
  expect(placeOf("")).toBeUndefined();
});

test("distances and the nearest name", () => {
  expect(metres(37, 140.9, 37, 140.9)).toBe(0);
  expect(Math.abs(metres(37, 140.9, 38, 140.9) - 111_195)).toBeLessThan(10);
  expect(nearest(36.9755, 140.8866)?.place.name).toBe("小名浜住吉");
  expect(nearest(35, 139)).toBeUndefined();
});

/** Calls of a constructor in the atlas' source: `post(1, "平消防署", 370_558_000, 1_408_930_000)`. */
function rowsOf(file: string, what: string): (string | number)[][] {
  const source = readFileSync(new URL(`../../../atlas/src/${file}.rs`, import.meta.url), "utf8");
  return [...source.matchAll(new RegExp(`^    ${what}\\((.+)\\),$`, "gm"))].map(([, row]) => JSON.parse(`[${row?.replace(/(?<=\d)_(?=\d)/g, "")}]`) as (string | number)[]);
}

/** The radius that a constructor gives. */
function radiusOf(what: string): number {
  const source = readFileSync(new URL("../../../atlas/src/places.rs", import.meta.url), "utf8");
  return Number(new RegExp(`const fn ${what}\\([^{]*\\{\\s*place\\(district, name, lat_e7, lon_e7, ([\\d_]+)\\)`).exec(source)?.[1]?.replaceAll("_", ""));
}

test("districts are those of the atlas", () => {
  const atlas = rowsOf("lib", "district").map(([, name, english, lat, lon, radius_m]) => ({ name, english, lat: Number(lat) / 1e7, lon: Number(lon) / 1e7, radius_m }));
  expect(atlas.length).toBe(13);
  expect(districts, "crates/atlas/src/lib.rs is the source").toEqual(atlas);
});

test("every place of the atlas is found by its name, as the atlas has it", () => {
  let seen = 0;
  for (const what of ["post", "town", "hill"]) {
    for (const [district, name, lat, lon] of rowsOf("places", what)) {
      const wanted = { name, lat: Number(lat) / 1e7, lon: Number(lon) / 1e7, radius_m: radiusOf(what), district };
      expect(exactly(String(name)), `${name}: crates/atlas/src/places.rs is the source`).toEqual(wanted);
      seen += 1;
    }
  }
  const size = /PLACES: \[NamedPlace; (\d+)\]/.exec(readFileSync(new URL("../../../atlas/src/places.rs", import.meta.url), "utf8"))?.[1];
  expect(seen, "each line of the atlas was read").toBe(Number(size));
});

test("every place has a radius, and none lies outside the hand-drawn edge by far", () => {
  const [lats, lons] = [outline.map(([lat]) => lat), outline.map(([, lon]) => lon)];
  for (const { name, lat, lon, radius_m } of [...places, ...districts]) {
    // A post is a house; everything else is an area.
    if (/(署|所)$/.test(name)) expect(radius_m, name).toBe(100);
    else expect(radius_m, name).toBeGreaterThan(100);
    expect(lat > Math.min(...lats) - 0.02 && lat < Math.max(...lats) + 0.02 && lon > Math.min(...lons) - 0.02 && lon < Math.max(...lons) + 0.02, name).toBe(true);
  }
  expect(districts.length).toBe(13);
});
