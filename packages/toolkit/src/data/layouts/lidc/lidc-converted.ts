import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { InputError, type Volume } from '@mdt/core';
import { rescaled } from '@mdt/formats';
import { missing } from '../../input-file.js';
import { labelMapOf } from '../../label-map-file.js';
import { readVolume } from '../../volume-file.js';
import type { SourceDataset } from '../../write-dataset.js';
import { numberOf, readCsv, rowsBy } from '../csv.js';
import { headWith } from '../folder.js';
import { drawParts } from '../parts.js';
import { checkConsensus, consensusOf, type ReaderMark } from './consensus.js';
import { checkClasses, drawNodules, type LidcOptions } from './lidc.js';
import { type LocalMask, localMask } from './local-mask.js';

export interface LidcConvertedOptions extends Omit<LidcOptions, 'outlines'> {
  /** The table of ratings, within the folder, with semicolons between. Default `characteristics.csv`. */
  table?: string;
}

/**
 * What the original's preprocessing of LIDC expects, which MIC-DKFZ's conversion of LIDC-IDRI writes: a folder per patient with
 * `PID_ct_scan.nrrd` and a NIfTI mask for each mark of each reader, whose name has the nodule's id as its third part and the region's
 * as its last one between underscores; `characteristics.csv` has the columns `PatientID`, `NoduleID` and `Malignancy`. Marks of one
 * region are one nodule.
 */
export async function lidcConvertedLayout(folder: string, options: LidcConvertedOptions = {}): Promise<SourceDataset<3>> {
  const { table = 'characteristics.csv', consensus = {}, classes = ['benign', 'malignant'] } = options;
  checkConsensus(consensus, 'lidc-converted');
  checkClasses(classes);
  const entries = await readdir(folder, { withFileTypes: true }).catch((cause: unknown) => {
    throw missing(folder, cause);
  });
  const ids = entries.flatMap((entry) => (entry.isDirectory() && !entry.name.startsWith('.') ? [entry.name] : [])).sort();
  if (ids.length === 0) throw new InputError('empty-dataset', `${folder}: no folder of a patient`);
  const csv = join(folder, table);
  const perPatient = rowsBy('PatientID', await readCsv(csv, ['PatientID', 'NoduleID', 'Malignancy'], { separator: ';' }), csv);
  const parts = drawParts(ids, options);
  const cases: SourceDataset<3>['cases'][number][] = [];
  for (const id of ids) {
    const files = await readdir(join(folder, id));
    const scan = join(folder, id, `${id}_ct_scan.nrrd`);
    if (!files.includes(`${id}_ct_scan.nrrd`)) throw new InputError('missing-file', `${scan}: no such file`);
    const marks = files.filter((file) => /\.nii(\.gz)?$/.test(file)).sort();
    const ratings = ratingsOf(perPatient.get(id) ?? []);
    cases.push({
      id,
      split: parts.get(id)!,
      files: [scan, csv, ...marks.map((file) => join(folder, id, file))],
      async load() {
        const image = rescaled(await readVolume(scan, { dim: 3 }));
        const regions = new Map<string, ReaderMark[]>();
        for (const [reader, file] of marks.entries()) {
          const words = file.replace(/\.nii(\.gz)?$/, '').split('_');
          const path = join(folder, id, file);
          const [nodule, region] = [words[2], words.at(-1)];
          if (words.length < 4) throw new InputError('invalid-data', `${path}: expected four names or more with _ between`);
          if (!ratings.has(Number(nodule))) {
            throw new InputError(
              'invalid-data',
              `${csv}: no row of patient ${id} with NoduleID ${Number(nodule)}, which ${file} names`,
            );
          }
          const mask = await maskOf(path, image);
          if (!mask) continue;
          const malignancy = ratings.get(Number(nodule))!;
          // The original leaves out ratings below 0: those of readers that gave none.
          const mark = { reader, mask, ...(malignancy > -1 && { malignancy }) };
          regions.set(region!, [...(regions.get(region!) ?? []), mark]);
        }
        const nodules = [...regions.values()].flatMap((group) => consensusOf(group, image.spacing, consensus) ?? []);
        return { image, ...drawNodules(image, nodules, classes, scan) };
      },
    });
  }
  return { ...headWith(folder, { ...options, classes }, { dim: 3, channels: 1 }), cases };
}

function ratingsOf(rows: readonly { row: Record<string, string>; where: string }[]): Map<number, number> {
  return new Map(rows.map(({ row, where }) => [numberOf(row, 'NoduleID', where), numberOf(row, 'Malignancy', where)]));
}

async function maskOf(path: string, image: Volume<3>): Promise<LocalMask | undefined> {
  const { data, size } = await labelMapOf(path, image);
  if (size.join() !== image.size.join()) {
    throw new InputError('shape-mismatch', `${path}: size ${size.join('x')}, expected ${image.size.join('x')} as the scan`);
  }
  const [, ny, nx] = size;
  const from = [...size] as [number, number, number];
  const to: [number, number, number] = [0, 0, 0];
  const at: number[] = [];
  for (let i = 0; i < data.length; i++) {
    if (!data[i]) continue;
    at.push(i);
    [Math.floor(i / (ny * nx)), Math.floor(i / nx) % ny, i % nx].forEach((value, d) => {
      from[d] = Math.min(from[d]!, value);
      to[d] = Math.max(to[d]!, value + 1);
    });
  }
  return localMask(from, to, (set) => {
    for (const i of at) set(Math.floor(i / (ny * nx)), Math.floor(i / nx) % ny, i % nx, 1);
  });
}
