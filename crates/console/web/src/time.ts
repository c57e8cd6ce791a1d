// Times as people read them: 24 hours, Japan, whatever zone the seat's computer has.

const parts = new Intl.DateTimeFormat("en-CA", {
  timeZone: "Asia/Tokyo", year: "numeric", month: "2-digit", day: "2-digit",
  hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23",
});

function fields(at: number): Record<string, string> {
  return Object.fromEntries(parts.formatToParts(at).map((part) => [part.type, part.value]));
}

/** `14:07:42` */
export function clock(at: string | number | null | undefined): string {
  if (at === null || at === undefined) return "";
  const f = fields(typeof at === "number" ? at : Date.parse(at));
  return `${f.hour}:${f.minute}:${f.second}`;
}

/** `2026-11-23 14:07:42` */
export function stamp(at: string | number | null | undefined): string {
  if (at === null || at === undefined) return "";
  const f = fields(typeof at === "number" ? at : Date.parse(at));
  return `${f.year}-${f.month}-${f.day} ${f.hour}:${f.minute}:${f.second}`;
}

/** Age as `m:ss`, `h:mm:ss`, or `3d 4h`; a clock that is ahead counts as now. */
export function age(at: string | null | undefined, now: number): string {
  if (!at) return "";
  const seconds = Math.max(0, Math.floor((now - Date.parse(at)) / 1000));
  const two = (n: number) => String(n).padStart(2, "0");
  const [d, h, m, s] = [
    Math.floor(seconds / 86400), Math.floor(seconds / 3600) % 24, Math.floor(seconds / 60) % 60, seconds % 60,
  ];
  if (d > 0) return `${d}d ${h}h`;
  return h > 0 ? `${h}:${two(m)}:${two(s)}` : `${m}:${two(s)}`;
}
