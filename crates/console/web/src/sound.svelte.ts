// The alarm's sound: repeats until somebody has the signal. A call and an alarm differ in rhythm, not
// only in pitch. Browsers block it until a first click
// or key, so the strip says when nobody would hear it.

/** Muting is for one seat and ends by itself. */
const MUTE_MS = 300_000;
const REPEAT_MS = 2_500;
/** Seconds after the start, and pitch. */
const RHYTHMS: Record<"call" | "signal", [number, number][]> = {
  call: [[0, 740], [0.12, 740], [0.24, 740], [0.8, 740], [0.92, 740], [1.04, 740]],
  signal: [[0, 880], [0.22, 660], [0.44, 880]],
};

class Sound {
  blocked = $state(true);
  mutedUntil = $state(0);
  #context: AudioContext | null = null;
  #last = 0;

  /** Call it from a click or a key: only then may a browser start sound. */
  unlock(): void {
    this.#context ??= new AudioContext();
    if (this.#context.state !== "running") void this.#context.resume().then(() => this.#look(), () => this.#look());
    this.#look();
  }

  #look(): void {
    this.blocked = this.#context?.state !== "running";
  }

  muted(now: number): boolean {
    return now < this.mutedUntil;
  }

  toggleMute(now: number): void {
    this.mutedUntil = this.muted(now) ? 0 : now + MUTE_MS;
  }

  /** Called twice a second. */
  beat(now: number, what: "call" | "signal" | null): void {
    this.#look();
    if (!what || this.blocked || this.muted(now) || now - this.#last < REPEAT_MS) return;
    this.#last = now;
    for (const [after, hertz] of RHYTHMS[what]) this.#tone(after, hertz);
  }

  #tone(after: number, hertz: number): void {
    const context = this.#context;
    if (!context) return;
    const oscillator = context.createOscillator();
    const gain = context.createGain();
    const start = context.currentTime + after;
    oscillator.frequency.value = hertz;
    gain.gain.setValueAtTime(0, start);
    gain.gain.linearRampToValueAtTime(0.25, start + 0.02);
    gain.gain.linearRampToValueAtTime(0, start + 0.18);
    oscillator.connect(gain).connect(context.destination);
    oscillator.start(start);
    oscillator.stop(start + 0.2);
  }
}

export const sound = new Sound();
