// Short names for the types that come from the server's description.
import type { components } from "./api";

type Schemas = components["schemas"];
export type World = Schemas["World"];
export type Signal = Schemas["Signal"];
export type Call = Schemas["Call"];
export type Location = Schemas["Location"];
export type Incident = Schemas["Incident"];
export type Unit = Schemas["Unit"];
export type Assignment = Schemas["Assignment"];
export type Recommendation = Schemas["Recommendation"];
export type Advice = Schemas["Advice"];
export type SavedDraft = Schemas["Draft"];
export type Notice = Schemas["Notice"];
export type Recipient = Schemas["Recipient"];
export type Group = Schemas["Group"];
export type Site = Schemas["Site"];
export type Message = Schemas["Message"];
export type Device = Schemas["Device"];
export type Accounting = Schemas["Accounting"];
export type Me = Schemas["Me"];
