import { join } from 'node:path';
import { type PerAxis, perAxis } from '@mdt/core';
import { orientationOf } from '@mdt/predictor';
import type { CaseEntry } from './dataset-json.js';
import { parseDatasetJson } from './dataset-json.js';
import { describeVolume, readInput } from './volume-file.js';

/** How the images of a data set lie in the patient, where they agree. */
export interface CommonPlacement {
  /** Millimetres per voxel, array order; null where images differ by more than 1 %, or one does not say. */
  spacing: number[] | null;
  /** Where array axes point, see `orientationOf`; null where images differ, or one does not say. */
  orientation: string | null;
}

const filesAtOnce = 32;

/**
 * What the headers of a data set's images say in common.
 *
 * @param ids cases to look at
 * @throws InputError as `openDataset`
 */
export async function commonPlacement(folder: string, ids: readonly string[]): Promise<CommonPlacement> {
  const where = join(folder, 'dataset.json');
  const json = parseDatasetJson((await readInput(where)).toString('utf8'), where);
  const wanted = new Set(ids);
  const entries = json.cases.filter(({ id }) => wanted.has(id));
  const ones: PerAxis = perAxis(json.dim, 1);
  const spacings: (readonly number[] | undefined)[] = [];
  const orientations: (string | undefined)[] = [];
  for (let i = 0; i < entries.length; i += filesAtOnce) {
    const some = entries.slice(i, i + filesAtOnce);
    const infos = await Promise.all(some.map((entry: CaseEntry) => describeVolume(join(folder, entry.image), json.dim)));
    for (const [k, { spacing, direction }] of infos.entries()) {
      spacings.push(some[k]!.spacing ?? spacing ?? json.spacing);
      const given = some[k]!.direction ?? direction;
      orientations.push(given && orientationOf({ dim: json.dim, spacing: ones, origin: ones, direction: given }));
    }
  }
  const [first] = spacings;
  const agree = first?.every((step, d) => spacings.every((other) => other && Math.abs(other[d]! / step - 1) <= 0.01));
  const [letters] = orientations;
  return {
    spacing: first && agree ? [...first] : null,
    orientation: letters !== undefined && orientations.every((other) => other === letters) ? letters : null,
  };
}
