// What a person typed is never lost: each key goes to local storage at once.

export type Draft = Record<string, string>;
const key = (form: string, target: string) => `draft:${form}:${target}`;

export function loadDraft(form: string, target: string): Draft {
  try {
    return JSON.parse(localStorage.getItem(key(form, target)) ?? "{}") as Draft;
  } catch {
    return {};
  }
}

export function saveDraft(form: string, target: string, draft: Draft): void {
  if (Object.values(draft).some((value) => value !== "")) localStorage.setItem(key(form, target), JSON.stringify(draft));
  else localStorage.removeItem(key(form, target));
}

export function dropDraft(form: string, target: string): void {
  localStorage.removeItem(key(form, target));
}

/** Things that have a draft of any form. */
export function drafted(): Set<string> {
  const targets = new Set<string>();
  for (let place = 0; place < localStorage.length; place += 1) {
    const [what, , target] = (localStorage.key(place) ?? "").split(":");
    if (what === "draft" && target) targets.add(target);
  }
  return targets;
}
