/**
 * Keeps the best `capacity` of a stream of scored items. Of equal scores, the lower rank is better. A heap with the worst kept
 * item on top, so that most of a long stream costs one comparison each.
 */
export class TopK {
  readonly #scores: Float64Array;
  readonly #ranks: Float64Array;
  readonly #items: Float64Array;
  #size = 0;

  constructor(readonly capacity: number) {
    this.#scores = new Float64Array(capacity);
    this.#ranks = new Float64Array(capacity);
    this.#items = new Float64Array(capacity);
  }

  /** Lowest score that can still enter. */
  get floor(): number {
    return this.#size < this.capacity ? Number.NEGATIVE_INFINITY : (this.#scores[0] ?? Number.POSITIVE_INFINITY);
  }

  push(score: number, item: number, rank = item): void {
    if (this.#size < this.capacity) {
      this.#place(this.#size, score, rank, item);
      this.#rise(this.#size++);
    } else if (this.capacity > 0 && this.#isWorse(this.#scores[0]!, this.#ranks[0]!, score, rank)) {
      this.#place(0, score, rank, item);
      this.#sink(0);
    }
  }

  /** The kept items, best first. */
  sorted(): { items: Float64Array; scores: Float64Array } {
    const order = Int32Array.from({ length: this.#size }, (_, i) => i);
    order.sort((a, b) => this.#scores[b]! - this.#scores[a]! || this.#ranks[a]! - this.#ranks[b]!);
    return {
      items: Float64Array.from(order, (i) => this.#items[i]!),
      scores: Float64Array.from(order, (i) => this.#scores[i]!),
    };
  }

  #isWorse(scoreA: number, rankA: number, scoreB: number, rankB: number): boolean {
    return scoreA < scoreB || (scoreA === scoreB && rankA > rankB);
  }

  #place(i: number, score: number, rank: number, item: number): void {
    this.#scores[i] = score;
    this.#ranks[i] = rank;
    this.#items[i] = item;
  }

  #swap(i: number, j: number): void {
    const [score, rank, item] = [this.#scores[i]!, this.#ranks[i]!, this.#items[i]!];
    this.#place(i, this.#scores[j]!, this.#ranks[j]!, this.#items[j]!);
    this.#place(j, score, rank, item);
  }

  #worseAt(i: number, j: number): boolean {
    return this.#isWorse(this.#scores[i]!, this.#ranks[i]!, this.#scores[j]!, this.#ranks[j]!);
  }

  #rise(i: number): void {
    for (let at = i; at > 0; ) {
      const parent = (at - 1) >> 1;
      if (!this.#worseAt(at, parent)) return;
      this.#swap(at, parent);
      at = parent;
    }
  }

  #sink(i: number): void {
    for (let at = i; ; ) {
      const left = 2 * at + 1;
      let worst = at;
      if (left < this.#size && this.#worseAt(left, worst)) worst = left;
      if (left + 1 < this.#size && this.#worseAt(left + 1, worst)) worst = left + 1;
      if (worst === at) return;
      this.#swap(at, worst);
      at = worst;
    }
  }
}
