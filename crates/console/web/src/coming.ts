// Shapes of the API that `openapi.json` does not hold yet. Goes when the generated types have them.
import type { components } from "./api";

type Schemas = components["schemas"];

export interface Assignment {
  unit: string;
  status?: string | null;
  times: Record<string, string>;
  reasons: string[];
  ended?: string | null;
  presses: { seq: number; status: string; at: string; corrected_by?: number | null }[];
}

export type Incident = Schemas["Incident"] & {
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
  position?: { lat: number; lon: number; at?: string | null; guessed: boolean } | null;
  cross_staffed_with?: string | null;
  crew_with?: string | null;
  reserve: boolean;
}

export type World = Omit<Schemas["World"], "incidents" | "units"> & {
  incidents: Incident[];
  units: Unit[];
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
  const incidents = world.incidents.map((each) => ({ ...each, assignments: each.assignments ?? [] }));
  const units = world.units.map((each) => ({ ...each, station: each.station ?? "", times: each.times ?? {}, queued: each.queued ?? [], abilities: each.abilities ?? [] }));
  return { ...world, incidents, units };
}
