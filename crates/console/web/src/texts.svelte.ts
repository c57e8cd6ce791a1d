// Words on the screen, Japanese first. Switched without a reload; the person's choice.
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

const districts: [string, string][] = [
  ["平", "Taira"], ["小名浜", "Onahama"], ["勿来", "Nakoso"], ["常磐", "Joban"], ["内郷", "Uchigo"],
  ["四倉", "Yotsukura"], ["遠野", "Tono"], ["小川", "Ogawa"], ["好間", "Yoshima"], ["三和", "Miwa"],
  ["田人", "Tabito"], ["川前", "Kawamae"], ["久之浜・大久", "Hisanohama-Ohisa"],
];

export const districtNumbers = districts.map((_, index) => index + 1);

/** Name of a district, 1 to 13. */
export function district(number: number | null | undefined): string {
  const names = number ? districts[number - 1] : undefined;
  if (!names) return number ? String(number) : "";
  return names[tongue.now === "ja" ? 0 : 1];
}
