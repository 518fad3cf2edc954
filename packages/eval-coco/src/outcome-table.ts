import type { Dim } from '@mdt/core';
import { CaseChecker, type EvaluationCase, noCases } from './cases.js';
import { GroupMatcher, groupsOf } from './match.js';
import type { ResolvedOptions } from './options.js';

/** Smallest and largest size that count, both included: area in 2D, volume in 3D. */
export type AreaRange = readonly [number, number];

/** What became of a detection. */
export const outcome = { false: 0, hit: 1, ignored: 2 } as const;

type NumericArray = Float64Array | Int32Array | Uint8Array;

/** A list of numbers that grows. */
class Growing<A extends NumericArray> {
  length = 0;
  constructor(private values: A) {}

  reserve(extra: number): void {
    if (this.length + extra <= this.values.length) return;
    const grown = new (this.values.constructor as new (n: number) => A)(Math.max(2 * this.values.length, this.length + extra));
    grown.set(this.values);
    this.values = grown;
  }

  push(value: number): void {
    this.reserve(1);
    this.values[this.length++] = value;
  }

  get all(): A {
    return this.values.subarray(0, this.length) as A;
  }
}

/** What became of the detections of one class; boxes and masks are no longer needed. */
export class ClassOutcomes {
  readonly #scores = new Growing(new Float64Array(64));
  readonly #patients = new Growing(new Int32Array(64));
  readonly #ranks = new Growing(new Int32Array(64));
  readonly #states = new Growing(new Uint8Array(64));
  readonly #objectPatients = new Growing(new Int32Array(16));
  readonly #objectCounts = new Growing(new Int32Array(16));
  #order: Int32Array | undefined;

  /** @param width states per detection: areas × thresholds */
  constructor(readonly width: number) {}

  addObjects(patient: number, countPerArea: readonly number[]): void {
    this.#objectPatients.push(patient);
    for (const count of countPerArea) this.#objectCounts.push(count);
  }

  /** Adds a detection and returns where its states lie: `[areas, thresholds]`, all `false` at first. */
  addDetection(patient: number, score: number, rank: number): number {
    this.#scores.push(score);
    this.#patients.push(patient);
    this.#ranks.push(rank);
    this.#order = undefined;
    this.#states.reserve(this.width);
    this.#states.length += this.width;
    return this.#states.length - this.width;
  }

  get numDetections(): number {
    return this.#scores.length;
  }
  get scores(): Float64Array {
    return this.#scores.all;
  }
  /** `[n]`, index of the patient. */
  get patients(): Int32Array {
    return this.#patients.all;
  }
  /** `[n]`, place among the case's detections of this class, best first. */
  get ranks(): Int32Array {
    return this.#ranks.all;
  }
  /** `[n, areas, thresholds]`, values of `outcome`. */
  get states(): Uint8Array {
    return this.#states.all;
  }
  /** Cases with objects: their patient, and `[cases, areas]` the number of objects that count. */
  get objectPatients(): Int32Array {
    return this.#objectPatients.all;
  }
  get objectCounts(): Int32Array {
    return this.#objectCounts.all;
  }
  /** Detections from the best score to the worst, over all cases; ties in case order. */
  get order(): Int32Array {
    this.#order ??= orderByScore(this.scores);
    return this.#order;
  }
}

/** Indices of scores from the best to the worst, equal ones in order. */
export function orderByScore(scores: Float64Array): Int32Array {
  const order = new Int32Array(scores.length);
  for (let i = 0; i < order.length; i++) order[i] = i;
  return order.sort((i, j) => scores[j]! - scores[i]! || i - j);
}

/** What became of every detection and object of the cases added: a few bytes each, whatever their boxes and masks took. */
export class OutcomeTable {
  readonly classes: ClassOutcomes[];
  readonly #checker: CaseChecker;
  readonly #patients = new Map<string, number>();
  /** Per patient its number of cases. */
  readonly #casesOf: number[] = [];
  #matcher: GroupMatcher | undefined;
  #ignored = new Uint8Array(16);

  constructor(
    private readonly who: string,
    readonly options: ResolvedOptions,
  ) {
    const width = options.areas.length * options.iouThresholds.length;
    this.classes = options.classes.map(() => new ClassOutcomes(width));
    this.#checker = new CaseChecker(who, options.classes, options.shape);
  }

  /** Matches one case. Throws before anything of it is counted. */
  add(item: EvaluationCase): void {
    const { iouThresholds, areas, limits, minScore, protocol, shape } = this.options;
    this.#checker.check(item);
    const patient = this.#patientIndex(item.patient ?? item.id);
    this.#casesOf[patient]!++;
    this.#matcher ??= new GroupMatcher(this.#checker.dim as Dim, protocol, shape);
    const matcher = this.#matcher;
    const truth = item.groundTruth;
    for (const group of groupsOf(item, { minScore, maxDetections: Math.max(...limits) })) {
      const { detections, objects, label } = group;
      const rows = this.classes[label]!;
      matcher.load(group);
      if (this.#ignored.length < objects.length) this.#ignored = new Uint8Array(2 * objects.length);
      const ignored = this.#ignored;
      const counts = areas.map(() => 0);
      const places = Array.from(detections as number[], (i, rank) =>
        rows.addDetection(patient, item.detections.scores[i]!, rank),
      );
      const { states } = rows;
      for (let a = 0; a < areas.length; a++) {
        const [low, high] = areas[a]!;
        for (let j = 0; j < objects.length; j++) {
          const object = objects[j]!;
          const size = truth.areas?.[object] ?? matcher.objectSizes[j]!;
          const marked = truth.ignore?.[object] || truth.crowd?.[object];
          ignored[j] = marked || size < low || size > high ? 1 : 0;
          if (!ignored[j]) counts[a]!++;
        }
        for (let t = 0; t < iouThresholds.length; t++) {
          const at = a * iouThresholds.length + t;
          // COCO lowers a threshold of 1 by 1e-10.
          const matched = iouThresholds[t]! - 1e-9 > matcher.largest ? undefined : matcher.match(iouThresholds[t]!, ignored);
          for (let i = 0; i < places.length; i++) {
            const object = matched ? matched[i]! : -1;
            if (object >= 0) {
              states[places[i]! + at] = ignored[object] ? outcome.ignored : outcome.hit;
              continue;
            }
            const size = matcher.detectionSizes[i]!;
            if (size < low || size > high) states[places[i]! + at] = outcome.ignored;
          }
        }
      }
      if (objects.length > 0) rows.addObjects(patient, counts);
    }
  }

  #patientIndex(name: string): number {
    const known = this.#patients.get(name);
    if (known !== undefined) return known;
    this.#patients.set(name, this.#casesOf.length);
    this.#casesOf.push(0);
    return this.#casesOf.length - 1;
  }

  /** In order of first appearance. */
  get patients(): string[] {
    return [...this.#patients.keys()];
  }

  /** `[patients]`, cases of each. */
  get casesPerPatient(): readonly number[] {
    return this.#casesOf;
  }

  /** Throws when no case was added. */
  expectCases(): void {
    if (this.#casesOf.length === 0) throw noCases(this.who);
  }
}
