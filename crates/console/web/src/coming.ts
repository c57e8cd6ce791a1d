// Shapes of the API that `openapi.json` does not hold yet. Goes when the generated types have them.
import type { components } from "./api";

type Schemas = components["schemas"];

export interface Location {
  lat?: number | null;
  lon?: number | null;
  radius_m?: number | null;
  confidence?: number | null;
  method?: string | null;
  source?: string | null;
  civic?: string | null;
  at?: string | null;
  refused?: string | null;
  marks: string[];
}

export interface Call {
  state: string;
  position?: string | null;
  answered_at?: string | null;
  connected_at?: string | null;
  ended_at?: string | null;
  ended_by?: string | null;
  unrecorded: boolean;
  earlier: number;
  callback_due?: string | null;
  callback_overdue: boolean;
  callbacks: { at: string; by: string; outcome: string }[];
  failed?: { position: string; status: number } | null;
}

export interface Similar {
  incident: string;
  distance_m: number;
  age_s: number;
}

export type Signal = Omit<Schemas["Signal"], "location"> & {
  withheld: boolean;
  service?: string | null;
  locations: Location[];
  location?: Location | null;
  similar: Similar[];
  call?: Call | null;
};

export interface Assignment {
  unit: string;
  status: string;
  times: Record<string, string>;
  reasons: string[];
}

export type Incident = Schemas["Incident"] & {
  subkind?: string | null;
  perceived_at?: string | null;
  times: Record<string, string>;
  assignments: Assignment[];
};

export interface Unit {
  id: string;
  station: string;
  kind: string;
  abilities: string[];
  crew: number;
  availability: string;
  availability_reason?: string | null;
  available_in_min?: number | null;
  assignment?: string | null;
  status?: string | null;
  status_at?: string | null;
  times: Record<string, string>;
  queued: string[];
  position?: { lat: number; lon: number; age_s?: number | null } | null;
  cross_staffed_with?: string | null;
}

export interface SavedDraft {
  form: string;
  text?: string | null;
  by: string;
  at: string;
  seq: number;
}

export type World = Omit<Schemas["World"], "signals" | "incidents" | "units"> & {
  signals: Signal[];
  incidents: Incident[];
  units: Unit[];
  drafts: SavedDraft[];
};

export interface Recommendation {
  incident: string;
  needs: { ability: string; want: number; have: number }[];
  units: RecommendedUnit[];
}

export interface RecommendedUnit {
  unit: string;
  chosen: boolean;
  minutes?: number | null;
  distance_m?: number | null;
  why: string[];
  ability?: string | null;
}

/** Fills in what an older server does not say. */
export function complete(world: World): World {
  const signals = world.signals.map((each) => ({ ...each, locations: each.locations ?? [], similar: each.similar ?? [], location: each.location ? { ...each.location, marks: each.location.marks ?? [] } : null }));
  const incidents = world.incidents.map((each) => ({ ...each, times: each.times ?? {}, assignments: each.assignments ?? [] }));
  const units = world.units.map((each) => ({ ...each, station: each.station ?? "", times: each.times ?? {}, queued: each.queued ?? [], abilities: each.abilities ?? [] }));
  return { ...world, signals, incidents, units, drafts: world.drafts ?? [] };
}
