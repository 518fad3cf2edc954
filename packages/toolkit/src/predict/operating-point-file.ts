import { basename, dirname, join, relative } from 'node:path';
import { InputError } from '@mdt/core';
import { consolidationOf, type OperatingPoint } from '@mdt/predictor';
import { readJson, writeFileAtomic } from '../files.js';
import { listCheckpoints } from '../train/checkpoint.js';

const fileName = 'operating-point.json';

/** A point and how it was chosen. */
export interface StoredOperatingPoint extends OperatingPoint {
  /** Where it comes from `mdt sweep`. */
  sweep?: {
    /** Name of the plan, or `configured` where no plan found better than the configuration. */
    plan: string;
    /** Validation cases, over all folds. */
    cases: number;
    /** AP is the mean over these. */
    iouThresholds: readonly number[];
    /** What the configuration alone reached. */
    configured: Pick<OperatingPoint, 'ap' | 'f1' | 'minScore'>;
    /** The best checkpoints at that time, as paths in the folder. */
    checkpoints: readonly string[];
  };
}

/** Stores a point in a run folder, beside the model that it belongs to. */
export async function writeOperatingPoint(dir: string, point: StoredOperatingPoint): Promise<string> {
  const path = join(dir, fileName);
  await writeFileAtomic(path, `${JSON.stringify(point, null, 2)}\n`);
  return path;
}

/** Reads what `writeOperatingPoint` stored in a folder. @throws InputError `missing-file`; `invalid-data` for anything else */
export const readOperatingPoint = (dir: string): Promise<StoredOperatingPoint> => readOperatingPointFile(join(dir, fileName));

/** The same of a file of any name. */
export async function readOperatingPointFile(path: string): Promise<StoredOperatingPoint> {
  const value = (await readJson(path)) as StoredOperatingPoint;
  const numbers = [value?.iouThreshold, value?.minCandidateScore ?? 0, value?.memberIouThreshold ?? 0, value?.minSide];
  const maybe = [value?.ap, value?.minScore, value?.f1];
  if (!numbers.every(Number.isFinite) || !maybe.every((v) => v === null || Number.isFinite(v))) {
    throw new InputError('invalid-data', `${path}: not an operating point`);
  }
  consolidationOf(value);
  return value;
}

/** The point that is stored in a folder, or for a fold in that of its cross-validation, and where; if there is one. */
export async function findOperatingPoint(dir: string): Promise<{ point: StoredOperatingPoint; dir: string } | undefined> {
  const folders = /^fold-\d+$/.test(basename(dir)) ? [dir, dirname(dir)] : [dir];
  for (const folder of folders) {
    try {
      return { point: await readOperatingPoint(folder), dir: folder };
    } catch (error) {
      if (!(error instanceof InputError && error.code === 'missing-file')) throw error;
    }
  }
  return undefined;
}

/** The best checkpoints of runs as paths in `dir`, and so what a point was chosen with. */
export async function bestCheckpoints(dir: string, runs: readonly string[], best: number): Promise<string[]> {
  const lists = await Promise.all(runs.map((run) => listCheckpoints(run)));
  return lists.flatMap((entries) => entries.slice(0, best).map(({ path }) => relative(dir, path).replaceAll('\\', '/')));
}
