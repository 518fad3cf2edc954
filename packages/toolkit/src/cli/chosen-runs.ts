import { basename, dirname } from 'node:path';
import { InputError } from '@mdt/core';
import {
  bestCheckpoints,
  findOperatingPoint,
  readOperatingPointFile,
  type StoredOperatingPoint,
} from '../predict/operating-point-file.js';
import { runsIn } from '../run/run-folder.js';

/** Flags of commands that use trained runs. */
export interface RunFlags {
  run?: string[];
  folds?: 'all' | number[];
  /** False for `--no-operating-point`. */
  operatingPoint?: string | boolean;
}

/**
 * The run folders that `--run` and `--folds` name: a folder of a cross-validation stands for its folds.
 *
 * @throws InputError `missing-file`, `invalid-option`
 */
export async function chosenRuns({ run = [], folds }: RunFlags): Promise<string[]> {
  if (folds !== undefined && run.length !== 1) {
    throw new InputError('invalid-option', '--folds is for one --run, the folder of a cross-validation');
  }
  const wanted = typeof folds === 'object' ? folds : undefined;
  return (await Promise.all(run.map((dir) => runsIn(dir, wanted)))).flat();
}

/**
 * The operating point for runs: the file that `--operating-point` names, else what `mdt sweep` stored with the run or the
 * cross-validation that all of them belong to. Notes what is used, and where the checkpoints are others by now.
 */
export async function chosenPoint(
  { run = [], operatingPoint = true }: RunFlags,
  runs: readonly string[],
  { best, note }: { best: number; note: (line: string) => void },
): Promise<StoredOperatingPoint | undefined> {
  if (operatingPoint === false) return undefined;
  if (typeof operatingPoint === 'string') return readOperatingPointFile(operatingPoint);
  const [first] = run as [string];
  const siblings = run.length === 1 || run.every((dir) => dirname(dir) === dirname(first) && /^fold-\d+$/.test(basename(dir)));
  const found = siblings ? await findOperatingPoint(first) : undefined;
  if (!found) return undefined;
  const { point, dir } = found;
  const { method, iouThreshold, minScore, sweep } = point;
  const from = minScore === null ? '' : `, scores from ${minScore} on`;
  note(`operating point of ${dir}: ${method} at IoU ${iouThreshold}${from} (--no-operating-point for what is configured)`);
  const present = sweep ? await bestCheckpoints(dir, runs, best) : [];
  const other = present.find((path) => !sweep!.checkpoints.includes(path));
  if (other !== undefined) note(`the operating point was chosen without ${other}; mdt sweep ${dir} chooses anew`);
  return point;
}
