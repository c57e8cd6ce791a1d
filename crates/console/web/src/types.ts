// Short names for the types that come from the server's description.
import type { components } from "./api";

type Schemas = components["schemas"];
export type { Assignment, Call, Incident, Location, RecommendedUnit, Recommendation, SavedDraft, Signal, Similar, Unit, World } from "./coming";
export type Notice = Schemas["Notice"];
export type Recipient = Schemas["Recipient"];
export type Device = Schemas["Device"];
export type Accounting = Schemas["Accounting"];
export type Me = Schemas["Me"];
