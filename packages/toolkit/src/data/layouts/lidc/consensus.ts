import { InputError, refuseUnknownKeys } from '@mdt/core';
import { eachVoxel, type LocalMask, localMask, sharedVoxels, votes } from './local-mask.js';

/** How the marks of several readers become one nodule, and what class it has. The original's rules are named where they differ. */
export interface ConsensusOptions {
  /**
   * Share of the readers that must have marked a voxel. Default 0.5 (the original's): two of four, as `of` counts.
   */
  agreement?: number;
  /** Whether that share, and the mean of the ratings, is of all `readers` or of those that marked the nodule. Default `all`. */
  of?: 'all' | 'markers';
  /** Readers that a scan had. Default 4. */
  readers?: number;
  /**
   * How ratings of malignancy are joined. `mean` (default) and `median` are of the readers that rated it; `mean-of-all` counts 0 for
   * every reader that did not, as the original does, so that two ratings of 5 make 2.5.
   */
  malignancy?: 'mean' | 'median' | 'mean-of-all';
  /** A nodule is of the second class from this rating on. Default 3 (the original's). */
  threshold?: number;
  /** Leaves out nodules with exactly the rating 3, on which the readers do not say either. Default false. */
  dropIndeterminate?: boolean;
  /**
   * Where a nodule lies. `voxels` (default, the original's): those that readers agree on. `sphere`: a sphere about the mean of the
   * centres of the readers' marks, of their mean volume, as in LUNA16, so that readers that disagree on the outline still make one.
   */
  shape?: 'voxels' | 'sphere';
}

export const consensusKeys = ['agreement', 'of', 'readers', 'malignancy', 'threshold', 'dropIndeterminate', 'shape'];

/** The mark of one reader of one nodule. */
export interface ReaderMark {
  reader: number;
  mask: LocalMask;
  /** Rating of malignancy, 1 to 5; absent where there is none. */
  malignancy?: number;
}

export interface Nodule {
  mask: LocalMask;
  /** The joined rating, or undefined where no reader rated it. */
  malignancy: number | undefined;
  /** Of the second class. */
  malignant: boolean;
  /** How many readers marked it. */
  markers: number;
}

/** Checks options of a program or a command line. Throws InputError. */
export function checkConsensus(options: ConsensusOptions, where: string): void {
  refuseUnknownKeys(where, options, consensusKeys);
  const { agreement = 0.5, of = 'all', readers = 4, malignancy = 'mean', threshold = 3, shape = 'voxels' } = options;
  const expect = (good: boolean, text: string) => {
    if (!good) throw new InputError('invalid-option', `${where}: ${text}`);
  };
  expect(agreement > 0 && agreement <= 1, `agreement is ${agreement}, expected a share above 0, at most 1`);
  expect(['all', 'markers'].includes(of), `of is '${of}', expected all or markers`);
  expect(Number.isInteger(readers) && readers >= 1, `readers is ${readers}, expected a whole number from 1 on`);
  expect(
    ['mean', 'median', 'mean-of-all'].includes(malignancy),
    `malignancy is '${malignancy}', expected mean, median or mean-of-all`,
  );
  expect(Number.isFinite(threshold), `threshold is ${threshold}, expected a number`);
  expect(['voxels', 'sphere'].includes(shape), `shape is '${shape}', expected voxels or sphere`);
}

/** Marks that share voxels belong to one nodule, also by way of a third. */
export function groupMarks(marks: readonly ReaderMark[]): ReaderMark[][] {
  const parent = marks.map((_, i) => i);
  const root = (i: number): number => (parent[i] === i ? i : (parent[i] = root(parent[i]!)));
  for (let i = 0; i < marks.length; i++) {
    for (let j = 0; j < i; j++)
      if (root(i) !== root(j) && sharedVoxels(marks[i]!.mask, marks[j]!.mask) > 0) parent[root(i)] = root(j);
  }
  const groups = new Map<number, ReaderMark[]>();
  for (const [i, mark] of marks.entries()) groups.set(root(i), [...(groups.get(root(i)) ?? []), mark]);
  return [...groups.values()];
}

/**
 * The nodule that the marks of one group make; undefined where too few readers agree on any voxel, or it is left out.
 *
 * @param spacing millimetres per voxel, z y x
 */
export function consensusOf(
  group: readonly ReaderMark[],
  spacing: ArrayLike<number>,
  options: ConsensusOptions = {},
): Nodule | undefined {
  const { agreement = 0.5, of = 'all', readers = 4, threshold = 3, dropIndeterminate = false, shape = 'voxels' } = options;
  const perReader = new Map<number, ReaderMark[]>();
  for (const mark of group) perReader.set(mark.reader, [...(perReader.get(mark.reader) ?? []), mark]);
  // A reader may have drawn one nodule in two parts.
  const masks = Array.from(
    perReader.values(),
    (marks) =>
      votes(
        marks.map(({ mask }) => mask),
        1,
      )!,
  );
  const least = Math.max(1, Math.ceil(agreement * (of === 'all' ? readers : masks.length) - 1e-9));
  const mask = shape === 'sphere' ? (masks.length >= least ? meanSphere(masks, spacing) : undefined) : votes(masks, least);
  const ratings = [...perReader.values()].flatMap((marks) => {
    const rated = marks.flatMap(({ malignancy }) => (malignancy === undefined ? [] : [malignancy]));
    return rated.length > 0 ? [mean(rated)] : [];
  });
  const malignancy = joined(ratings, readers, options.malignancy ?? 'mean');
  if (!mask || (dropIndeterminate && malignancy === 3)) return undefined;
  return { mask, malignancy, malignant: malignancy !== undefined && malignancy >= threshold, markers: masks.length };
}

const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;

function joined(
  ratings: readonly number[],
  readers: number,
  how: NonNullable<ConsensusOptions['malignancy']>,
): number | undefined {
  if (ratings.length === 0) return undefined;
  if (how === 'mean') return mean(ratings);
  if (how === 'mean-of-all') return ratings.reduce((sum, value) => sum + value, 0) / Math.max(readers, ratings.length);
  const sorted = [...ratings].sort((a, b) => a - b);
  return (sorted[(sorted.length - 1) >> 1]! + sorted[sorted.length >> 1]!) / 2;
}

/** Voxels within the sphere of the masks' mean volume about the mean of their centres; at least the voxel of the centre. */
function meanSphere(masks: readonly LocalMask[], spacing: ArrayLike<number>): LocalMask {
  const centre = [0, 0, 0];
  let voxels = 0;
  for (const mask of masks) {
    const sum = [0, 0, 0];
    eachVoxel(mask, (...at) => {
      for (const d of [0, 1, 2]) sum[d]! += at[d]!;
    });
    for (const d of [0, 1, 2]) centre[d]! += sum[d]! / mask.voxels / masks.length;
    voxels += mask.voxels / masks.length;
  }
  const volume = voxels * spacing[0]! * spacing[1]! * spacing[2]!;
  const radius = Math.cbrt((3 * volume) / (4 * Math.PI));
  const from = centre.map((c, d) => Math.floor(c - radius / spacing[d]!)) as [number, number, number];
  const to = centre.map((c, d) => Math.ceil(c + radius / spacing[d]!) + 1) as [number, number, number];
  const limits = { from: [0, 1, 2].map((d) => Math.max(0, from[d]!)) as [number, number, number], to };
  return localMask(limits.from, limits.to, (set) => {
    set(Math.round(centre[0]!), Math.round(centre[1]!), Math.round(centre[2]!), 1);
    for (let z = limits.from[0]; z < to[0]; z++)
      for (let y = limits.from[1]; y < to[1]; y++)
        for (let x = limits.from[2]; x < to[2]; x++) {
          const square = [z, y, x].reduce((sum, at, d) => sum + ((at - centre[d]!) * spacing[d]!) ** 2, 0);
          if (square <= radius * radius) set(z, y, x, 1);
        }
  })!;
}
