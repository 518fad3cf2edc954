import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { InputError, type Volume } from '@mdt/core';
import { rescaled } from '@mdt/formats';
import { missing } from '../../input-file.js';
import { storedLabelMap } from '../../label-map-file.js';
import { Problems, StoppedReading } from '../../problems.js';
import { readVolume } from '../../volume-file.js';
import type { SourceDataset } from '../../write-dataset.js';
import { type CsvRow, numbersOf, readCsv, rowsBy } from '../csv.js';
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
export async function lidcConvertedLayout(
  folder: string,
  options: LidcConvertedOptions = {},
  problems: Problems = new Problems(),
): Promise<SourceDataset<3>> {
  const { table = 'characteristics.csv', consensus = {}, classes = ['benign', 'malignant'] } = options;
  checkConsensus(consensus, 'lidc-converted');
  checkClasses(classes);
  const csv = join(folder, table);
  const [ids, rows] = await problems.all(
    [folder, () => patientsIn(folder)],
    [csv, () => readCsv(csv, ['PatientID', 'NoduleID', 'Malignancy'], { separator: ';', problems })],
  );
  const perPatient = rowsBy('PatientID', rows);
  const parts = drawParts(ids, options);
  const cases: SourceDataset<3>['cases'][number][] = [];
  for (const id of ids) {
    const files = await readdir(join(folder, id));
    const scan = join(folder, id, `${id}_ct_scan.nrrd`);
    const hasScan = files.includes(`${id}_ct_scan.nrrd`);
    if (!hasScan) {
      const what = { field: '', found: 'no such file', expected: 'the scan of the patient' };
      problems.add({ code: 'missing-file', file: scan, ...what });
    }
    const ratings = ratingsOf(perPatient.get(id) ?? [], problems);
    const names = files.filter((file) => /\.nii(\.gz)?$/.test(file)).sort();
    const marks = names.flatMap((name, reader) => markOf(name, reader, join(folder, id), { id, csv, ratings }, problems));
    if (!hasScan) continue;
    cases.push({
      id,
      split: parts.get(id)!,
      files: [scan, csv, ...names.map((name) => join(folder, id, name))],
      async load(problems = new Problems()) {
        const [image, ...stored] = await problems.all(
          [scan, async () => rescaled(await readVolume(scan, { dim: 3 }))],
          ...marks.map(({ path }) => [path, () => storedLabelMap(path, 3)] as const),
        );
        const regions = new Map<string, ReaderMark[]>();
        for (const [k, { reader, path, region, malignancy }] of marks.entries()) {
          const mask = maskOf(stored[k]!.like(image), image, path, problems);
          if (!mask) continue;
          // The original leaves out ratings below 0: those of readers that gave none.
          const mark = { reader, mask, ...(malignancy > -1 && { malignancy }) };
          regions.set(region, [...(regions.get(region) ?? []), mark]);
        }
        const nodules = [...regions.values()].flatMap((group) => consensusOf(group, image.spacing, consensus) ?? []);
        return { image, ...drawNodules(image, nodules, classes, scan) };
      },
    });
  }
  if (cases.length === 0) throw new StoppedReading();
  return { ...headWith(folder, { ...options, classes }, { dim: 3, channels: 1 }), cases };
}

async function patientsIn(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true }).catch((cause: unknown) => {
    throw missing(folder, cause);
  });
  const ids = entries.flatMap((entry) => (entry.isDirectory() && !entry.name.startsWith('.') ? [entry.name] : [])).sort();
  if (ids.length === 0) throw new InputError('empty-dataset', `${folder}: no folder of a patient`);
  return ids;
}

function ratingsOf(rows: readonly CsvRow[], problems: Problems): Map<number, number> {
  const read = rows.flatMap((one) => {
    const numbers = numbersOf(one, ['NoduleID', 'Malignancy'], problems);
    return numbers ? [numbers as [number, number]] : [];
  });
  return new Map(read);
}

/** What the name of a mask says; nothing for a name that says too little or a nodule without a row, after that was said. */
function markOf(
  name: string,
  reader: number,
  folder: string,
  { id, csv, ratings }: { id: string; csv: string; ratings: ReadonlyMap<number, number> },
  problems: Problems,
): { reader: number; path: string; region: string; malignancy: number }[] {
  const words = name.replace(/\.nii(\.gz)?$/, '').split('_');
  const path = join(folder, name);
  if (words.length < 4) {
    problems.add({ file: path, field: 'name', found: `of ${words.length} words`, expected: 'four or more with _ between' });
    return [];
  }
  const malignancy = ratings.get(Number(words[2]));
  if (malignancy === undefined) {
    const field = `NoduleID ${Number(words[2])} of patient ${id}, which ${name} names,`;
    problems.add({ file: csv, field, found: 'missing', expected: 'a row' });
    return [];
  }
  return [{ reader, path, region: words.at(-1)!, malignancy }];
}

function maskOf(
  { data, size }: Volume<3, Int32Array>,
  image: Volume<3>,
  path: string,
  problems: Problems,
): LocalMask | undefined {
  if (size.join() !== image.size.join()) {
    const expected = `${image.size.join('x')} as the scan`;
    problems.add({ code: 'shape-mismatch', file: path, field: 'size', found: size.join('x'), expected });
    return undefined;
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
