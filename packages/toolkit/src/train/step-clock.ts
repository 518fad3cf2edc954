/** Mean seconds of the last 20 steps; the first step, which warms the engine up, counts only while it is alone. */
export class StepClock {
  readonly #recent: number[] = [];
  #count = 0;

  add(seconds: number): void {
    if (this.#count === 1) this.#recent.length = 0;
    this.#count += 1;
    this.#recent.push(seconds);
    if (this.#recent.length > 20) this.#recent.shift();
  }

  get mean(): number {
    return this.#recent.length === 0 ? 0 : this.#recent.reduce((a, b) => a + b, 0) / this.#recent.length;
  }
}
