// Places the page knows without asking: districts, posts and named points. "About here", never a
// pin: each has the radius that its kind of place deserves.
//
// Districts, posts and most points are those of `crates/atlas`, which is the source; a test reads it
// and fails when they differ here.

/** A named place with how far off it may be. */
export interface Place {
  name: string;
  lat: number;
  lon: number;
  /** 0 when it is unknown how far off it may be, which never means "exact". */
  radius_m: number;
  /** District, 1 to 13; 0 when none. */
  district: number;
  /** Whether it is where the caller is said to be; its name is then only that of the nearest point. */
  caller?: boolean;
}

type Row = [name: string, lat: number, lon: number, district: number];

/** Name, English name, middle, and how far from there a place in it may be, in metres. */
export const districts: { name: string; english: string; lat: number; lon: number; radius_m: number }[] = [
  { name: "平", english: "Taira", lat: 37.0558, lon: 140.893, radius_m: 9_000 },
  { name: "小名浜", english: "Onahama", lat: 36.965, lon: 140.8936, radius_m: 8_000 },
  { name: "勿来", english: "Nakoso", lat: 36.9103, lon: 140.7803, radius_m: 9_000 },
  { name: "常磐", english: "Joban", lat: 36.9978, lon: 140.8543, radius_m: 6_000 },
  { name: "内郷", english: "Uchigo", lat: 37.0426, lon: 140.8581, radius_m: 5_000 },
  { name: "四倉", english: "Yotsukura", lat: 37.106, lon: 140.9589, radius_m: 8_000 },
  { name: "遠野", english: "Tono", lat: 37.0181, lon: 140.7366, radius_m: 9_000 },
  { name: "小川", english: "Ogawa", lat: 37.1205, lon: 140.8618, radius_m: 12_000 },
  { name: "好間", english: "Yoshima", lat: 37.0672, lon: 140.8521, radius_m: 6_000 },
  { name: "三和", english: "Miwa", lat: 37.1537, lon: 140.713, radius_m: 14_000 },
  { name: "田人", english: "Tabito", lat: 36.9759, lon: 140.6528, radius_m: 12_000 },
  { name: "川前", english: "Kawamae", lat: 37.2624, lon: 140.7374, radius_m: 12_000 },
  { name: "久之浜・大久", english: "Hisanohama-Ohisa", lat: 37.143, lon: 140.9933, radius_m: 7_000 },
];

/** The city's edge, drawn by hand and coarse: no survey's line. Latitude, longitude. */
export const outline: [number, number][] = [
  [36.862, 140.79], [36.905, 140.815], [36.918, 140.845], [36.938, 140.875], [36.941, 140.915], [36.957, 140.955],
  [36.986, 140.978], [37.04, 140.984], [37.09, 140.992], [37.145, 141.006], [37.186, 140.999], [37.2, 140.935],
  [37.235, 140.86], [37.29, 140.8], [37.33, 140.725], [37.3, 140.665], [37.24, 140.665], [37.21, 140.61],
  [37.165, 140.565], [37.095, 140.6], [37.05, 140.575], [36.975, 140.57], [36.9, 140.6], [36.878, 140.67], [36.872, 140.73],
];

const towns: Row[] = [
  ["平字梅本", 37.0504, 140.8867, 1], ["平下平窪", 37.0782, 140.8829, 1], ["平中平窪", 37.0887, 140.8745, 1], ["平薄磯", 37.0036, 140.9757, 1],
  ["平豊間", 36.9906, 140.9668, 1], ["平沼ノ内", 37.0119, 140.9675, 1], ["中央台飯野", 37.0154, 140.9129, 1], ["小名浜古港", 36.9474, 140.9112, 2],
  ["小名浜住吉", 36.9758, 140.8861, 2], ["小名浜花畑町", 36.9548, 140.905, 2], ["永崎", 36.9595, 140.9374, 2], ["中之作", 36.9607, 140.9484, 2],
  ["江名", 36.9714, 140.9565, 2], ["泉町滝尻", 36.9533, 140.8647, 2], ["中部工業団地", 36.9693, 140.8439, 2], ["岩間町", 36.916, 140.8203, 3],
  ["小浜町", 36.9188, 140.8329, 3], ["勿来町関田西", 36.8819, 140.7858, 3], ["植田町中央", 36.92, 140.7977, 3], ["常磐藤原町", 36.9952, 140.8189, 4],
  ["常磐湯本町", 37.0133, 140.8462, 4], ["内郷御厩町", 37.0461, 140.8745, 5], ["内郷綴町", 37.0346, 140.8556, 5], ["四倉町", 37.1096, 140.9821, 6],
  ["好間町北好間", 37.0698, 140.836, 9], ["久之浜町末続", 37.1757, 140.9837, 13],
];

/** Whole 大字 of the hills have one point each, which may stand kilometres from a house. */
const hills: Row[] = [
  ["四倉町薬王寺", 37.1149, 140.9184, 6], ["遠野町上遠野", 37.0031, 140.7596, 7], ["小川町高萩", 37.1262, 140.8579, 8], ["小川町上小川", 37.1342, 140.8583, 8],
  ["三和町差塩", 37.1819, 140.7198, 10], ["三和町上三坂", 37.1744, 140.6248, 10], ["三和町合戸", 37.0869, 140.7604, 10], ["三和町下市萱", 37.1385, 140.6764, 10],
  ["三和町渡戸", 37.1187, 140.741, 10], ["田人町石住", 37.0396, 140.6525, 11], ["田人町旅人", 36.9316, 140.6362, 11], ["田人町黒田", 36.9833, 140.6964, 11],
  ["川前町小白井", 37.3, 140.714, 12], ["川前町川前", 37.2159, 140.7709, 12],
];

/** Fire stations and their branches. */
const posts: Row[] = [
  ["平消防署", 37.0558, 140.893, 1], ["小名浜消防署", 36.9548, 140.905, 2], ["勿来消防署", 36.92, 140.7977, 3], ["常磐消防署", 37.0133, 140.8462, 4],
  ["内郷消防署", 37.0346, 140.8556, 5], ["四倉分署", 37.1096, 140.9821, 6], ["中央台分遣所", 37.0154, 140.9129, 1], ["江名分遣所", 36.9714, 140.9565, 2],
  ["泉分遣所", 36.9533, 140.8647, 2], ["遠野分遣所", 37.0031, 140.7596, 7], ["小川分遣所", 37.1262, 140.8579, 8], ["三和分遣所", 37.1187, 140.741, 10],
  ["田人分遣所", 36.9833, 140.6964, 11],
];

const [TOWN_M, HILL_M, POST_M] = [800, 4_000, 100];

const within = (rows: Row[], radius_m: number): Place[] => rows.map(([name, lat, lon, district]) => ({ name, lat, lon, district, radius_m }));

/** Named points, posts, then whole districts: of two at one place the first one names it. */
export const places: Place[] = [
  ...within(towns, TOWN_M), ...within(hills, HILL_M), ...within(posts, POST_M),
  ...districts.map(({ name, lat, lon, radius_m }, index) => ({ name, lat, lon, radius_m, district: index + 1 })),
];

/** At most this many candidates: one digit each. */
export const CANDIDATES_MAX = 6;

/** Text as it is compared: width, case and the many kinds of hyphen do not count. */
export function plain(text: string): string {
  return text.normalize("NFKC").toLowerCase().replace(/[ー－‐‑–—―−]/g, "-").replace(/ヶ/g, "ケ");
}

/** Great-circle distance in metres. */
export function metres(aLat: number, aLon: number, bLat: number, bLon: number): number {
  const radians = Math.PI / 180;
  const [dLat, dLon] = [(bLat - aLat) * radians, (bLon - aLon) * radians];
  const h = Math.sin(dLat / 2) ** 2 + Math.cos(aLat * radians) * Math.cos(bLat * radians) * Math.sin(dLon / 2) ** 2;
  return Math.round(2 * 6_371_000 * Math.asin(Math.sqrt(h)));
}

/** A point that somebody gave as coordinates is meant to within this. */
export const POINT_M = 50;

/** The place that coordinates are, by the name they were typed as. */
export function pointOf(text: string): Place | undefined {
  const point = coordinates(text);
  return point && { name: text.trim(), ...point, radius_m: POINT_M, district: 0 };
}

/** The place that was picked, from its name alone: a point by its coordinates, else a known name. */
export function placeOf(name: string): Place | undefined {
  return pointOf(name) ?? places.find((each) => each.name === name);
}

/** `36.9758,140.8861`, as it is read from a map or said over the radio. */
export function coordinates(text: string): { lat: number; lon: number } | undefined {
  const match = /^\s*(-?\d{1,2}\.\d+)\s*[, ]\s*(-?\d{1,3}\.\d+)\s*$/.exec(text.normalize("NFKC").replace(/、/g, ","));
  if (!match) return undefined;
  const [lat, lon] = [Number(match[1]), Number(match[2])];
  return Math.abs(lat) <= 90 && Math.abs(lon) <= 180 ? { lat, lon } : undefined;
}

/** Places that the text may mean: the one of that name, then those that begin with it, then those it
 * begins with (the longest first), then those that hold it. */
export function candidates(text: string): Place[] {
  const wanted = plain(text).trim();
  if (!wanted) return [];
  const rank = (place: Place): number => {
    const name = plain(place.name);
    if (name === wanted) return 0;
    if (name.startsWith(wanted)) return 100 + name.length;
    if (wanted.startsWith(name)) return 300 - name.length;
    if (isDistrict(place) && plain(districts[place.district - 1]?.english ?? "").startsWith(wanted)) return 350;
    return name.includes(wanted) ? 400 + name.length : Infinity;
  };
  return places.map((place) => ({ place, by: rank(place) })).filter(({ by }) => by < Infinity)
    .sort((a, b) => a.by - b.by).slice(0, CANDIDATES_MAX).map(({ place }) => place);
}

function isDistrict(place: Place): boolean {
  return districts[place.district - 1]?.name === place.name;
}

/** The named point that the text is, alone or with a house number behind it. A whole district and a
 * longer name are never guessed. */
export function exactly(text: string): Place | undefined {
  const wanted = plain(text).trim();
  return candidates(text).find((place) => {
    const name = plain(place.name);
    return wanted.startsWith(name) && !isDistrict(place) && /^$|^[\s\d\-一二三四五六七八九十字]/.test(wanted.slice(name.length));
  });
}

/** The known place nearest to a point, if any is within 5 km: words for a circle. */
export function nearest(lat: number, lon: number): { place: Place; distance_m: number } | undefined {
  let best: { place: Place; distance_m: number } | undefined;
  for (const place of places) {
    const distance_m = metres(lat, lon, place.lat, place.lon);
    if (!best || distance_m < best.distance_m) best = { place, distance_m };
  }
  return best && best.distance_m <= 5_000 ? best : undefined;
}
