// Words on the screen, Japanese first. Switched without a reload; the person's choice.
import { districts } from "./places";
import en from "./texts/en.json";
import ja from "./texts/ja.json";

export type Language = "ja" | "en";
const words: Record<Language, Record<string, string>> = { ja, en };

class Tongue {
  now: Language = $state(localStorage.getItem("language") === "en" ? "en" : "ja");

  set(language: Language): void {
    this.now = language;
    localStorage.setItem("language", language);
  }

  toggle(): void {
    this.set(this.now === "ja" ? "en" : "ja");
  }
}

export const tongue = new Tongue();

/** The text of a key, with `{name}` filled in. An unknown key shows itself. */
export function t(key: string, values: Record<string, string | number> = {}): string {
  const text = words[tongue.now][key] ?? key;
  if (!text.includes("{")) return text;
  return text.replace(/\{(\w+)\}/g, (whole, name: string) => String(values[name] ?? whole));
}

/** Why the core said no; its own words for a code that the page does not know. */
export function refusal(code: string | undefined, what: string | undefined): string {
  const known = t(`refusal.${code}`);
  return known.startsWith("refusal.") ? (what ?? "") : known;
}

/** The same in Japanese, whatever the screen speaks: for what goes to people outside. */
export function inJapanese(key: string): string {
  return words.ja[key] ?? key;
}

export const districtNumbers = districts.map((_, index) => index + 1);

/** Name of a district, 1 to 13. */
export function districtName(number: number | null | undefined): string {
  const found = number ? districts[number - 1] : undefined;
  if (!found) return number ? String(number) : "";
  return tongue.now === "ja" ? found.name : found.english;
}

/** Why a unit goes, or not. `out:maintenance` is a word and what it is about. */
export function why(word: string): string {
  const [head, about] = word.split(":");
  return about ? t(`why.${head}`, { about: t(`out.${about}`) }) : t(`why.${head}`);
}
