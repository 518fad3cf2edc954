import { InputError, refuseUnknownKeys } from '@mdt/core';
import { checkClasses, noCases } from './cases.js';
import { checkWeights, type Resampled } from './resample.js';
import { type Defined, meanDefined, type Reasons, reasonsFor } from './undefined.js';

/** Two label maps of one image, in the same order of voxels: 0 is background, class `i` is `i + 1`. */
export interface SemanticCase {
  /** Unique among the cases. */
  readonly id: string;
  /** Default: `id`. */
  readonly patient?: string;
  readonly prediction: ArrayLike<number>;
  readonly truth: ArrayLike<number>;
}

export interface SemanticClassMetrics {
  /** Mean over cases of 2 |A ∩ B| / (|A| + |B|), where either has the class; null where none has. */
  readonly dice: Defined;
  /** The same fraction of the voxels of all cases together. */
  readonly pooledDice: Defined;
  /** Cases that `dice` rests on. */
  readonly numCases: number;
  readonly undefinedBecause: Reasons;
}

export interface SemanticMetrics<C extends string = string> extends Resampled<SemanticMetrics<C>> {
  readonly classes: readonly C[];
  /** Means over the classes that have a number. */
  readonly dice: Defined;
  readonly pooledDice: Defined;
  readonly perClass: { readonly [K in C]: SemanticClassMetrics };
}

/** Voxels of one case: per class those of both maps, and the sum of those of each. */
interface Overlap {
  patient: number;
  shared: Float64Array;
  sizes: Float64Array;
}

/** Dice of semantic label maps, per class, over cases that may come one by one. */
export function evaluateSemantic<const C extends readonly string[]>(
  cases: Iterable<SemanticCase>,
  options: { classes: C },
): SemanticMetrics<C[number]> {
  refuseUnknownKeys('evaluateSemantic', options, ['classes']);
  const { classes } = options;
  checkClasses('evaluateSemantic', classes);
  const patients = new Map<string, number>();
  const seen = new Set<string>();
  const overlaps: Overlap[] = [];
  for (const { id, patient = id, prediction, truth } of cases) {
    const name = `evaluateSemantic: case '${id}'`;
    if (seen.has(id)) throw new InputError('invalid-data', `${name} is listed twice`);
    seen.add(id);
    if (prediction.length !== truth.length) {
      throw new InputError('shape-mismatch', `${name} has ${prediction.length} predicted voxels and ${truth.length} true ones`);
    }
    const shared = new Float64Array(classes.length + 1);
    const sizes = new Float64Array(classes.length + 1);
    for (let i = 0; i < truth.length; i++) {
      const a = prediction[i]!;
      const b = truth[i]!;
      if (!(sizes[a] !== undefined && sizes[b] !== undefined)) {
        const text = `${name}: voxel ${i} has labels ${a} and ${b}, expected whole numbers from 0 to ${classes.length}`;
        throw new InputError('unknown-class', text);
      }
      sizes[a]!++;
      sizes[b]!++;
      if (a === b) shared[a]!++;
    }
    if (!patients.has(patient)) patients.set(patient, patients.size);
    overlaps.push({ patient: patients.get(patient)!, shared: shared.subarray(1), sizes: sizes.subarray(1) });
  }
  if (overlaps.length === 0) throw noCases('evaluateSemantic');
  return semanticMetrics(classes, [...patients.keys()], overlaps);
}

function semanticMetrics<C extends readonly string[]>(
  classes: C,
  patients: readonly string[],
  overlaps: readonly Overlap[],
  weights?: ArrayLike<number>,
): SemanticMetrics<C[number]> {
  const list = classes.map((name, k): SemanticClassMetrics => {
    let sum = 0;
    let numCases = 0;
    let shared = 0;
    let size = 0;
    for (const item of overlaps) {
      const weight = weights?.[item.patient] ?? 1;
      if (item.sizes[k] === 0) continue;
      sum += (weight * 2 * item.shared[k]!) / item.sizes[k]!;
      numCases += weight;
      shared += weight * item.shared[k]!;
      size += weight * item.sizes[k]!;
    }
    const numbers = { dice: numCases > 0 ? sum / numCases : null, pooledDice: size > 0 ? (2 * shared) / size : null };
    return { ...numbers, numCases, undefinedBecause: reasonsFor(numbers, () => `no voxel of class '${name}' in either map`) };
  });
  return {
    classes,
    patients,
    dice: meanDefined(list.map(({ dice }) => dice)),
    pooledDice: meanDefined(list.map(({ pooledDice }) => pooledDice)),
    perClass: Object.fromEntries(classes.map((name, k) => [name, list[k]!])) as SemanticMetrics<C[number]>['perClass'],
    resampled: (drawn) => semanticMetrics(classes, patients, overlaps, checkWeights('resampled', drawn, patients.length)),
  };
}
