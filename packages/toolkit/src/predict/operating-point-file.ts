import { join } from 'node:path';
import { InputError } from '@mdt/core';
import { consolidationOf, type OperatingPoint } from '@mdt/predictor';
import { readJson, writeFileAtomic } from '../files.js';

const fileName = 'operating-point.json';

/** Stores a point in a run folder, beside the model that it belongs to. */
export async function writeOperatingPoint(dir: string, point: OperatingPoint): Promise<string> {
  const path = join(dir, fileName);
  await writeFileAtomic(path, `${JSON.stringify(point, null, 2)}\n`);
  return path;
}

/** Reads what `writeOperatingPoint` stored; throws `invalid-data` for anything else. */
export async function readOperatingPoint(dir: string): Promise<OperatingPoint> {
  const value = (await readJson(join(dir, fileName))) as OperatingPoint;
  const numbers = [value?.iouThreshold, value?.minCandidateScore ?? 0, value?.minSide];
  const maybe = [value?.ap, value?.minScore, value?.f1];
  if (!numbers.every(Number.isFinite) || !maybe.every((v) => v === null || Number.isFinite(v))) {
    throw new InputError('invalid-data', `${join(dir, fileName)}: not an operating point`);
  }
  consolidationOf(value);
  return value;
}
