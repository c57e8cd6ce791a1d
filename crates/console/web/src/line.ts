// The command line: `VERB [unit ...] [#]incident [text]`. Pure; what it means is shown before Enter.
//
// An ambiguous word never guesses: it lists choices. Width, case and kinds of hyphen do not count;
// blanks, 、 。 and commas part words; the text of a note stays as it was typed.
import { AVAILABILITIES, code, moves, OUT_REASONS, STATUSES } from "./fleet";
import { candidates, coordinates, exactly, plain, type Place, POINT_M } from "./places";
import en from "./texts/en.json";
import ja from "./texts/ja.json";
import type { Incident, Signal, Unit } from "./types";

/** What the line may name. */
export interface Around {
  units: readonly Unit[];
  incidents: readonly Incident[];
  signals: readonly Signal[];
  /** Milliseconds. */
  now: number;
}

/** One command to send. */
export interface Order {
  kind: string;
  target: string;
  body: Record<string, unknown>;
}

/** Something the page does by itself. */
export type Deed = { what: "answer" | "accept" | "help" } | { what: "recommend" | "find"; target: string } | { what: "map"; place: Place };

/** A word that may stand at `instead`. */
export interface Choice {
  value: string;
  note: string;
}

export interface Parsed {
  /** `typing`: something is still missing; `wrong`: it cannot be so; `ready`: Enter carries it out. */
  state: "empty" | "typing" | "wrong" | "ready";
  /** Key of the words about it, after `line.`. */
  key: string;
  values: Record<string, string | number>;
  choices: Choice[];
  /** Where in the text a choice goes: a word's place, or the end when it is the next word. */
  instead?: { start: number; end: number };
  orders: Order[];
  deed?: Deed;
}

interface Token {
  /** As it is compared. */
  word: string;
  start: number;
  end: number;
}

interface Sentence {
  text: string;
  /** Words after the verb. */
  rest: Token[];
  around: Around;
}

/** Verbs with all their words: codes, and what dispatchers say. */
const VERBS: Record<string, string[]> = {
  D: ["出", "指令"], DV: ["転", "転戦"], NT: ["記", "記録"], CL: ["終", "終了"], A: ["認", "確認"], J: ["同", "合流"], K: ["種", "種別"], L: ["場", "場所"],
  RE: ["推", "推奨"], OK: ["可"], C: ["解", "解除"], G: ["図", "地図"], F: ["探"], "?": ["助"],
  AK: ["了", "了解"], ER: ["出動"], OS: ["着", "現着"], WK: ["活", "活動"], TR: ["搬", "搬送"], HP: ["病着"], RT: ["揚", "引揚"], IN: ["帰", "帰署"], CX: ["取", "取消"],
  AV: ["可動", "出動可"], AD: ["条", "条件付"], OO: ["不", "不能", "出動不能"], OF: ["閉", "閉鎖"],
};
const CHOICES_MAX = 9;

/** Verbs the line knows, for the help. */
export const verbs = Object.entries(VERBS).map(([verb, also]) => ({ verb, also }));

const byWord = new Map(Object.entries(VERBS).flatMap(([verb, also]) => [verb, ...also].map((word) => [plain(word), verb] as const)));

function said(state: Parsed["state"], key: string, values: Parsed["values"] = {}, more: Partial<Parsed> = {}): Parsed {
  return { state, key, values, choices: [], orders: [], ...more };
}

function tokens(text: string): Token[] {
  return [...text.matchAll(/[^\s\u3000、。,，､｡]+/g)].map((match) => ({ word: plain(match[0]), start: match.index, end: match.index + match[0].length }));
}

/** What a line means now. */
export function parse(text: string, around: Around): Parsed {
  const meaning = read(text, around);
  if (!meaning.choices.length) return meaning;
  // Choices that stand for no word are those of the next one.
  return { instead: { start: text.length, end: text.length }, ...meaning };
}

function read(text: string, around: Around): Parsed {
  const [first, ...rest] = tokens(text);
  if (!first) return said("empty", "empty");
  // `ER!`: it is ER, and what was said last was wrong.
  const corrects = first.word.endsWith("!");
  const verb = byWord.get(corrects ? first.word.slice(0, -1) : first.word);
  if (verb && corrects && !isStatus(verb)) return said("wrong", "verb.none", { word: first.word });
  if (!verb) {
    const like = verbs.filter((each) => [each.verb, ...each.also].some((word) => plain(word).startsWith(first.word)));
    const choices = like.slice(0, CHOICES_MAX).map((each) => ({ value: each.verb, note: each.also[0] ?? "" }));
    // More may come; only a blank after it says that this was the whole word.
    return said(choices.length && text.length === first.end ? "typing" : "wrong", "verb.none", { word: first.word }, { choices, instead: first });
  }
  const sentence = { text, rest, around };
  if (verb === "D" || verb === "DV") return order(sentence, verb);
  if (verb === "NT") return note(sentence);
  if (verb === "CL") return close(sentence);
  if (verb === "C") return release(sentence);
  if (verb === "J") return join(sentence);
  if (verb === "K") return kind(sentence);
  if (verb === "L") return place(sentence);
  if (verb === "G") return map(sentence);
  if (verb === "RE") return withIncident(sentence, (incident) => said("ready", "preview.RE", labels(incident), { deed: { what: "recommend", target: incident.id } }));
  if (verb === "F") return find(sentence);
  if (verb === "A") return said("ready", "preview.A", {}, { deed: { what: "answer" } });
  if (verb === "OK") return said("ready", "preview.OK", {}, { deed: { what: "accept" } });
  if (verb === "?") return said("ready", "preview.help", {}, { deed: { what: "help" } });
  if ((AVAILABILITIES as readonly string[]).includes(verb)) return availability(verb, sentence);
  return corrects ? correct(verb, sentence) : status(verb, sentence);
}

const isStatus = (verb: string) => (STATUSES as readonly string[]).includes(verb);

/** The text with a choice at its place. A blank parts it from what stands before, and from what a
 * person types next. */
export function complete(text: string, value: string, { start, end }: { start: number; end: number }): string {
  const before = text.slice(0, start);
  const apart = !before || /[\s\u3000、。,，､｡]$/.test(before);
  return `${before}${apart ? "" : " "}${value}${text.slice(end) || " "}`;
}

// --- Units and incidents by what a person types ---

interface Found<Thing> {
  one?: Thing;
  many: Thing[];
}

function findUnit(word: string, units: readonly Unit[]): Found<Unit> {
  const exact = units.filter((unit) => plain(unit.id) === word);
  const many = exact.length ? exact : units.filter((unit) => plain(unit.id).startsWith(word));
  return many.length === 1 ? { one: many[0], many } : { many };
}

const looksLikeIncident = (word: string) => /^#?(i?\d+|\d+-\d+)$/.test(word);

function findIncident(word: string, incidents: readonly Incident[]): Found<Incident> {
  const wanted = word.replace(/^#/, "");
  const rules: ((incident: Incident) => boolean)[] = [
    (each) => each.id === wanted || each.number === wanted,
    (each) => each.number.split("-").at(-1) === wanted,
    (each) => each.number.endsWith(wanted) || each.id.endsWith(wanted),
  ];
  // An open one is meant before a closed one.
  for (const state of ["open", "closed"]) {
    for (const rule of rules) {
      const many = incidents.filter((each) => each.state === state && rule(each));
      if (many.length) return many.length === 1 ? { one: many[0], many } : { many };
    }
  }
  return { many: [] };
}

const unitChoices = (units: readonly Unit[]): Choice[] => units.slice(0, CHOICES_MAX).map((unit) => ({ value: unit.id, note: `${unit.kind} ${code(unit)}` }));
const incidentChoices = (incidents: readonly Incident[]): Choice[] =>
  incidents.slice(0, CHOICES_MAX).map((each) => ({ value: each.number, note: each.place.text ?? "" }));
const open = (around: Around) => around.incidents.filter((each) => each.state === "open");
/** Values that the page turns into words of its language. */
const labels = (incident: Incident) => ({ incident: incident.id });

type Units = { units: Unit[]; used: number } | { fault: Parsed };

/** Units from the front of `rest`, up to the first word that is none. */
function takeUnits({ rest, around, text }: Sentence, stop: (word: string) => boolean): Units {
  const units: Unit[] = [];
  for (const [at, token] of rest.entries()) {
    const { one, many } = findUnit(token.word, around.units);
    const last = at === rest.length - 1 && token.end === text.length;
    if (one) {
      if (!units.includes(one)) units.push(one);
    } else if (stop(token.word)) {
      return { units, used: at };
    } else if (many.length) {
      return { fault: said("typing", "unit.many", { word: token.word, count: many.length }, { choices: unitChoices(many), instead: token }) };
    } else {
      return { fault: said(last && !units.length ? "typing" : "wrong", "unit.none", { word: token.word }) };
    }
  }
  return { units, used: rest.length };
}

function withIncident(sentence: Sentence, go: (incident: Incident, after: number) => Parsed, at = 0): Parsed {
  const { rest, around } = sentence;
  const token = rest[at];
  if (!token) return said("typing", "incident.which", {}, { choices: incidentChoices(open(around)) });
  const { one, many } = findIncident(token.word, around.incidents);
  if (one) return go(one, token.end);
  if (many.length) return said("typing", "incident.many", { word: token.word, count: many.length }, { choices: incidentChoices(many), instead: token });
  return said("wrong", "incident.none", { word: token.word }, { choices: incidentChoices(open(around)), instead: token });
}

// --- One function for each verb ---

/** `DV` takes a unit away from the incident it is on its way to; `D` queues the order. */
function order(sentence: Sentence, verb: "D" | "DV"): Parsed {
  const { around, rest } = sentence;
  const taken = takeUnits(sentence, looksLikeIncident);
  if ("fault" in taken) return taken.fault;
  const { units, used } = taken;
  if (!units.length) return said("typing", "unit.which", {}, { choices: unitChoices(around.units.filter((unit) => unit.availability === "AV" && !unit.status)) });
  if (rest.length > used + 1) return said("wrong", "extra", { word: rest[used + 1]?.word ?? "" });
  return withIncident(sentence, (incident) => {
    const bad = units.find((unit) => unit.availability === "OO" || unit.availability === "OF");
    if (bad) return said("wrong", "unit.out", { unit: bad.id, code: bad.availability });
    const there = incident.units.length;
    const fresh = units.filter((unit) => !incident.units.includes(unit.id)).length;
    const body = { incident: incident.id, units: units.map((unit) => unit.id), reason: null, divert: verb === "DV" };
    return said("ready", `preview.${verb}`, { units: names(units), ...labels(incident), before: there, after: there + fresh }, { orders: [{ kind: "OrderUnits", target: incident.id, body }] });
  }, used);
}

const names = (units: readonly Unit[]) => units.map((unit) => unit.id).join(" ");

/** `@14:05` today in Japan; yesterday when that is still to come. */
export function timeOf(word: string, now: number): string | undefined {
  const match = /^@(\d{1,2}):?(\d{2})(?::?(\d{2}))?$/.exec(word);
  if (!match) return undefined;
  const [hours, minutes, seconds] = [Number(match[1]), Number(match[2]), Number(match[3] ?? 0)];
  if (hours > 23 || minutes > 59 || seconds > 59) return undefined;
  const [day, nine] = [86_400_000, 32_400_000];
  const midnight = Math.floor((now + nine) / day) * day - nine;
  const at = midnight + ((hours * 60 + minutes) * 60 + seconds) * 1_000;
  return new Date(at > now + 60_000 ? at - day : at).toISOString();
}

function status(verb: string, sentence: Sentence): Parsed {
  const { around } = sentence;
  const last = sentence.rest.at(-1);
  const timed = last?.word.startsWith("@") ? timeOf(last.word, around.now) : null;
  if (timed === undefined) return said("typing", "time.wrong", { word: last?.word ?? "" });
  const rest = timed ? sentence.rest.slice(0, -1) : sentence.rest;
  const taken = takeUnits({ ...sentence, rest }, looksLikeIncident);
  if ("fault" in taken) return taken.fault;
  const { units, used } = taken;
  if (!units.length) return said("typing", "unit.which", {}, { choices: unitChoices(around.units.filter((unit) => moves(unit).includes(verb))) });
  if (rest.length > used + 1) return said("wrong", "extra", { word: rest[used + 1]?.word ?? "" });
  const go = (incident: string | null): Parsed => {
    const bad = units.find((unit) => !timed && !moves(unit).includes(verb));
    if (bad) return said("wrong", bad.status ? "move" : "unit.free", { unit: bad.id, from: bad.status ?? "", to: verb });
    const orders = units.map((unit) => ({ kind: "UnitStatus", target: unit.id, body: { unit: unit.id, status: verb, at: timed, incident } }));
    return said("ready", timed ? "preview.status.at" : "preview.status", { units: names(units), code: verb, at: last?.word.slice(1) ?? "" }, { orders });
  };
  return rest.length > used ? withIncident({ ...sentence, rest }, (incident) => go(incident.id), used) : go(null);
}

/** The last thing said of each unit was wrong: a new event that names it, never an edit. */
function correct(verb: string, sentence: Sentence): Parsed {
  const { around } = sentence;
  const taken = takeUnits(sentence, () => false);
  if ("fault" in taken) return taken.fault;
  const { units } = taken;
  if (!units.length) return said("typing", "unit.which", {}, { choices: unitChoices(around.units.filter((unit) => unit.status)) });
  const orders: Order[] = [];
  for (const unit of units) {
    const assignment = around.incidents.find((each) => each.id === unit.assignment)?.assignments.find((each) => each.unit === unit.id && !each.ended);
    const last = assignment?.presses.findLast((each) => !each.corrected_by);
    if (!last) return said("wrong", "nothing.said", { unit: unit.id });
    orders.push({ kind: "UnitStatus", target: unit.id, body: { unit: unit.id, status: verb, at: null, incident: null, corrects: last.seq } });
  }
  return said("ready", "preview.correct", { units: names(units), code: verb }, { orders });
}

function availability(verb: string, sentence: Sentence): Parsed {
  const { around, rest } = sentence;
  const taken = takeUnits(sentence, (word) => !!reasonOf(word) || /^\d+$/.test(word));
  if ("fault" in taken) return taken.fault;
  const { units, used } = taken;
  if (!units.length) return said("typing", "unit.which", {}, { choices: unitChoices(around.units.filter((unit) => unit.availability !== verb)) });
  const more = rest.slice(used).map(({ word }) => word);
  const minutes = more.find((word) => /^\d+$/.test(word));
  const reason = more.map(reasonOf).find((each) => each !== undefined);
  const stray = more.find((word) => word !== minutes && !reasonOf(word));
  if (stray) return said("wrong", "extra", { word: stray });
  if (verb === "AD" && !minutes) return said("typing", "minutes.which");
  if (verb === "OO" && !reason) return said("typing", "reason.which", {}, { choices: OUT_REASONS.map((each) => ({ value: ja[`out.${each}`], note: en[`out.${each}`] })) });
  const orders = units.map((unit) => ({
    kind: "SetAvailability", target: unit.id, body: { unit: unit.id, availability: verb, reason: reason ?? null, minutes: minutes ? Number(minutes) : null },
  }));
  return said("ready", "preview.availability", { units: names(units), code: verb }, { orders });
}

const both = { ja: ja as Record<string, string>, en: en as Record<string, string> };

/** Whether a typed word is this one, in either language or as a code. */
function means(word: string, code: string, key: string): boolean {
  return [code, both.ja[key] ?? "", both.en[key] ?? ""].some((each) => each && plain(each) === word);
}

function begins(word: string, code: string, key: string): boolean {
  return [code, both.ja[key] ?? "", both.en[key] ?? ""].some((each) => each && plain(each).startsWith(word));
}

function reasonOf(word: string): string | undefined {
  return OUT_REASONS.find((each) => means(word, each, `out.${each}`));
}

/** One of a closed list: by its digit, its code, or the beginning of its words. */
function pick(word: string, list: readonly string[], prefix: string): Found<string> {
  const digit = /^[1-9]$/.test(word) ? list[Number(word) - 1] : undefined;
  if (digit) return { one: digit, many: [digit] };
  const exact = list.filter((each) => means(word, each, `${prefix}.${each}`));
  const many = exact.length ? exact : list.filter((each) => begins(word, each, `${prefix}.${each}`));
  return many.length === 1 ? { one: many[0], many } : { many: [...many] };
}

const listChoices = (list: readonly string[], prefix: string): Choice[] => list.map((each) => ({ value: both.ja[`${prefix}.${each}`] ?? each, note: both.en[`${prefix}.${each}`] ?? "" }));

function note(sentence: Sentence): Parsed {
  return withIncident(sentence, (incident, after) => {
    const text = sentence.text.slice(after).replace(/^[\s\u3000]+/, "").trimEnd();
    if (!text) return said("typing", "text.which");
    return said("ready", "preview.NT", { ...labels(incident), text }, { orders: [{ kind: "AddNote", target: incident.id, body: { incident: incident.id, text } }] });
  });
}

export const INCIDENT_OUTCOMES = ["handled", "false_alarm", "prank", "cancelled", "transferred", "nothing_found"] as const;

function close(sentence: Sentence): Parsed {
  return withIncident(sentence, (incident) => {
    const word = sentence.rest[1];
    if (!word) return said("typing", "outcome.which", {}, { choices: listChoices(INCIDENT_OUTCOMES, "incident_outcome") });
    const { one, many } = pick(word.word, INCIDENT_OUTCOMES, "incident_outcome");
    if (!one) return said(many.length ? "typing" : "wrong", "outcome.none", { word: word.word }, { choices: listChoices(many.length ? many : INCIDENT_OUTCOMES, "incident_outcome"), instead: word });
    const text = sentence.text.slice(word.end).trim() || null;
    return said("ready", "preview.CL", { ...labels(incident), outcome: one }, { orders: [{ kind: "CloseIncident", target: incident.id, body: { incident: incident.id, outcome: one, note: text } }] });
  });
}

/** Takes units back: before arrival it is a cancellation, afterwards a release. */
function release(sentence: Sentence): Parsed {
  const { around, rest } = sentence;
  const taken = takeUnits(sentence, looksLikeIncident);
  if ("fault" in taken) return taken.fault;
  const { units, used } = taken;
  if (!units.length) return said("typing", "unit.which", {}, { choices: unitChoices(around.units.filter((unit) => unit.status && unit.status !== "RT")) });
  if (rest.length > used + 1) return said("wrong", "extra", { word: rest[used + 1]?.word ?? "" });
  const go = (incident: string | null): Parsed => {
    const orders: Order[] = [];
    for (const unit of units) {
      const to = moves(unit).includes("CX") ? "CX" : "RT";
      if (!moves(unit).includes(to)) return said("wrong", unit.status ? "move" : "unit.free", { unit: unit.id, from: unit.status ?? "", to });
      orders.push({ kind: "UnitStatus", target: unit.id, body: { unit: unit.id, status: to, at: null, incident } });
    }
    return said("ready", "preview.C", { units: names(units) }, { orders });
  };
  return rest.length > used ? withIncident(sentence, (incident) => go(incident.id), used) : go(null);
}

function join(sentence: Sentence): Parsed {
  const word = sentence.rest[0]?.word;
  const waiting = sentence.around.signals.filter((each) => each.state !== "ended" && !each.incident);
  if (!word) return said("typing", "signal.which", {}, { choices: waiting.slice(0, CHOICES_MAX).map((each) => ({ value: each.id, note: each.from ?? each.device ?? "" })) });
  const signal = waiting.find((each) => each.id === word || each.id === `s${word}`);
  if (!signal) return said("wrong", "signal.none", { word });
  return withIncident(sentence, (incident) => said("ready", "preview.J", { signal: signal.id, ...labels(incident) }, { orders: [{ kind: "JoinSignal", target: signal.id, body: { signal: signal.id, incident: incident.id } }] }), 1);
}

export const KINDS = ["fire", "ems", "rescue", "precaution", "disaster", "search", "support", "other"] as const;
/** Second level of a kind, a closed list for each. */
export const SUBKINDS: Record<string, readonly string[]> = {
  fire: ["building", "forest", "vehicle", "ship", "alarm"], ems: ["illness", "cpa", "mass"], rescue: ["traffic", "water"], precaution: ["gas"],
  disaster: ["flood", "landslide", "tsunami"],
};

function kind(sentence: Sentence): Parsed {
  return withIncident(sentence, (incident) => {
    const [, first, second] = sentence.rest;
    if (!first) return said("typing", "kind.which", {}, { choices: listChoices(KINDS, "kind") });
    const { one } = pick(first.word, KINDS, "kind");
    if (!one) return said("wrong", "kind.none", { word: first.word }, { choices: listChoices(KINDS, "kind"), instead: first });
    const sub = second ? pick(second.word, SUBKINDS[one] ?? [], "subkind").one : null;
    if (sub === undefined) return said("wrong", "kind.none", { word: second?.word ?? "" }, { choices: listChoices(SUBKINDS[one] ?? [], "subkind"), instead: second });
    return said("ready", "preview.K", { ...labels(incident), kind: one, subkind: sub ?? "" }, { orders: [{ kind: "SetKind", target: incident.id, body: { incident: incident.id, kind: one, subkind: sub } }] });
  });
}

const placeChoices = (text: string): Choice[] => candidates(text).map((each) => ({ value: each.name, note: `±${each.radius_m} m` }));

function place(sentence: Sentence): Parsed {
  return withIncident(sentence, (incident, after) => {
    const text = sentence.text.slice(after).trim();
    if (!text) return said("typing", "place.which");
    const point = coordinates(text);
    const known = exactly(text);
    const at = point ? { lat: point.lat, lon: point.lon, radius_m: POINT_M } : known ? { lat: known.lat, lon: known.lon, radius_m: known.radius_m } : { lat: null, lon: null, radius_m: null };
    const body = { incident: incident.id, place_text: text, district: known?.district || null, ...at, confirmed: at.lat !== null || incident.place.confirmed };
    return said("ready", at.lat === null ? "preview.L.words" : "preview.L", { ...labels(incident), text, metres: at.radius_m ?? 0 }, { choices: known ? [] : placeChoices(text), orders: [{ kind: "SetPlace", target: incident.id, body }] });
  });
}

function map(sentence: Sentence): Parsed {
  const text = sentence.text.slice(sentence.rest[0]?.start ?? sentence.text.length).trim();
  if (!text) return said("typing", "place.which");
  const unit = findUnit(plain(text), sentence.around.units).one;
  const at = unit?.position ?? coordinates(text);
  const found: Place | undefined = at ? { name: unit?.id ?? text, lat: at.lat, lon: at.lon, radius_m: 300, district: 0 } : candidates(text)[0];
  if (!found) return said("wrong", "place.none", { word: text });
  return said("ready", "preview.G", { place: found.name }, { choices: placeChoices(text).filter((each) => each.value !== found.name), deed: { what: "map", place: found } });
}

function find(sentence: Sentence): Parsed {
  const word = sentence.rest[0]?.word;
  if (!word) return said("typing", "find.which");
  const unit = findUnit(word, sentence.around.units).one;
  const incident = looksLikeIncident(word) ? findIncident(word, sentence.around.incidents).one : undefined;
  const signal = sentence.around.signals.find((each) => each.id === word || (!!each.from && each.from.endsWith(word)));
  const target = unit?.id ?? incident?.id ?? signal?.id;
  return target ? said("ready", "preview.F", { what: unit?.id ?? incident?.number ?? target }, { deed: { what: "find", target } }) : said("wrong", "find.none", { word });
}
