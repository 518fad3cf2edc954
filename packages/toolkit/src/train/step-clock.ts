interface StepTimes {
  seconds: number;
  images: number;
  waitSeconds: number;
}

/** Means over the last 20 steps; the first step, which warms the engine up, counts only while it is alone. */
export class StepClock {
  readonly #recent: StepTimes[] = [];
  #count = 0;

  add(seconds: number, { images, waitSeconds }: Omit<StepTimes, 'seconds'>): void {
    if (this.#count === 1) this.#recent.length = 0;
    this.#count += 1;
    this.#recent.push({ seconds, images, waitSeconds });
    if (this.#recent.length > 20) this.#recent.shift();
  }

  /** Seconds per step. */
  get mean(): number {
    return this.#recent.length === 0 ? 0 : this.#sum('seconds') / this.#recent.length;
  }

  get imagesPerSecond(): number {
    return this.#sum('images') / Math.max(this.#sum('seconds'), 1e-9);
  }

  /** Share of the time in which the engine waited for images. */
  get waitShare(): number {
    return this.#sum('waitSeconds') / Math.max(this.#sum('seconds'), 1e-9);
  }

  #sum(key: keyof StepTimes): number {
    return this.#recent.reduce((sum, step) => sum + step[key], 0);
  }
}
