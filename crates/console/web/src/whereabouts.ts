// Where signals, incidents and units are, in words and as spots for the map. Pure.
import { code, SHAPES } from "./fleet";
import type { Spot } from "./map";
import { nearest } from "./places";
import type { Incident, Location, Signal, Unit } from "./types";

/** A location with a middle. */
export type Point = Location & { lat: number; lon: number };

export function hasPoint<Thing extends { lat?: number | null; lon?: number | null }>(thing: Thing | null | undefined): thing is Thing & { lat: number; lon: number } {
  return typeof thing?.lat === "number" && typeof thing.lon === "number";
}

/** Words of a caller's place: what the network said, else the nearest name that we know. */
export function words(location: Location | null | undefined): string {
  if (!location) return "";
  if (location.civic) return location.civic;
  return hasPoint(location) ? (nearest(location.lat, location.lon)?.place.name ?? "") : "";
}

/** The nearest name to an incident's place, of which nobody has said anything yet but where it is. */
export function nearby(place: Incident["place"]): string | undefined {
  if (place.text || place.district || !hasPoint(place)) return undefined;
  return nearest(place.lat, place.lon)?.place.name;
}

const LETTERS: Record<string, string> = { fire: "K", ems: "Q", rescue: "R", precaution: "W", disaster: "D", search: "F", support: "P", other: "S" };

/** Letter of a kind, the same as its key. */
export function letter(kind: string): string {
  return LETTERS[kind] ?? "?";
}

/** Everything with a place. A call that has an incident is drawn as its circle only while it lives. */
export function spots(signals: readonly Signal[], incidents: readonly Incident[], units: readonly Unit[], label: (location: Location) => string): Spot[] {
  const callers = signals.filter((each) => each.state !== "ended" && each.kind === "call").flatMap((signal): Spot[] => {
    const { location } = signal;
    return hasPoint(location) ? [{ id: signal.id, kind: "caller", lat: location.lat, lon: location.lon, radius_m: location.radius_m, look: signal.state, sign: "☎", label: label(location) }] : [];
  });
  const open = incidents.filter((each) => each.state === "open").flatMap((incident): Spot[] => {
    const { place } = incident;
    return hasPoint(place) ? [{ id: incident.id, kind: "incident", lat: place.lat, lon: place.lon, radius_m: place.radius_m, look: place.confirmed ? "fixed" : "unfixed", sign: letter(incident.kind), label: incident.number }] : [];
  });
  const fleet = units.flatMap((unit): Spot[] => {
    const { position } = unit;
    if (!hasPoint(position)) return [];
    // Its station's place while it is out is a guess, and must not look like a place that is known.
    const [look, label] = position.guessed ? [`${code(unit)} guessed`, `${unit.id} ?`] : [code(unit), unit.id];
    return [{ id: unit.id, kind: "unit", lat: position.lat, lon: position.lon, look, sign: SHAPES[code(unit)] ?? "?", label }];
  });
  return [...fleet, ...callers, ...open];
}
