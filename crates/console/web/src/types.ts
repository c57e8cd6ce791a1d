// Short names for the types that come from the server's description.
import type { components } from "./api";

type Schemas = components["schemas"];
export type World = Schemas["World"];
export type Signal = Schemas["Signal"];
export type Incident = Schemas["Incident"];
export type Notice = Schemas["Notice"];
export type Recipient = Schemas["Recipient"];
export type Device = Schemas["Device"];
export type Accounting = Schemas["Accounting"];
export type Me = Schemas["Me"];
