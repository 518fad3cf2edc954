import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Volume } from '@mdt/core';
import { Problems, StoppedReading } from '../problems.js';
import { readVolume } from '../volume-file.js';
import type { SourceDataset } from '../write-dataset.js';
import { type CsvRow, readCsv, rowsBy } from './csv.js';
import { boxRegion, drawObjects } from './draw.js';
import { headWith, type LayoutOptions } from './folder.js';

export interface DeepLesionOptions extends Omit<LayoutOptions, 'dim' | 'classes'> {
  /** The table, within the folder. Default `DL_info.csv`. */
  table?: string;
  /** Folder of the slices, within the folder. Default `Images_png`. */
  images?: string;
  /** Classes by the coarse type; lesions of unknown type are left out with their slice. Default: one class, `lesion`. */
  byType?: boolean;
  /** Keeps lesions that the table calls possibly noisy. Default false. */
  noisy?: boolean;
}

/** `Coarse_lesion_type` 1 to 8, Yan et al. 2018. */
const types = ['bone', 'abdomen', 'mediastinum', 'liver', 'lung', 'kidney', 'soft-tissue', 'pelvis'];
/** Grey values are stored with this on top of Hounsfield units. */
const offset = 32768;
const columns = ['File_name', 'Bounding_boxes', 'Coarse_lesion_type', 'Possibly_noisy', 'Spacing_mm_px_', 'Train_Val_Test'];

/**
 * DeepLesion (Yan et al. 2018): `DL_info.csv`, and its key slices as 16-bit PNG, in `Images_png/PATIENT_STUDY_SERIES/SLICE.png`. Each key
 * slice is a 2D case in Hounsfield units with the boxes of its lesions; parts are those of the table, by patient. Key slices that are
 * not there are left out, as the images come in 56 archives.
 */
export async function deepLesionLayout(
  folder: string,
  options: DeepLesionOptions = {},
  problems: Problems = new Problems(),
): Promise<SourceDataset<2>> {
  const { table = 'DL_info.csv', images = 'Images_png', byType = false, noisy = false } = options;
  const path = join(folder, table);
  const [rows] = await problems.all([path, () => readCsv(path, columns, { problems })]);
  const classes = byType ? types : ['lesion'];
  const cases: SourceDataset<2>['cases'][number][] = [];
  for (const [name, own] of rowsBy('File_name', rows)) {
    const first = own[0]!;
    const match = /^(\d+)_(\d+)_(\d+)_(\d+)\.png$/.exec(name);
    if (!match) refuse(first, 'File_name', 'PATIENT_STUDY_SERIES_SLICE.png', problems);
    const kept = own.filter(
      ({ row }) => (noisy || row.Possibly_noisy !== '1') && !(byType && Number(row.Coarse_lesion_type) < 1),
    );
    if (kept.length === 0 || (byType && kept.length < own.length)) continue;
    const split = ({ 1: 'train', 2: 'validation', 3: 'test' } as const)[first.row.Train_Val_Test as '1'];
    if (!split) refuse(first, 'Train_Val_Test', '1, 2 or 3', problems);
    const spacing = numbers(kept[0]!, 'Spacing_mm_px_', 3, problems);
    const lesions = kept.map((one) => ({ one, box: numbers(one, 'Bounding_boxes', 4, problems) }));
    if (!match || !split || !spacing) continue;
    const [, patient, study, series, slice] = match;
    const file = join(folder, images, `${patient}_${study}_${series}`, `${slice}.png`);
    if (!(await stat(file).catch(() => undefined))?.isFile()) continue;
    cases.push({
      id: name.slice(0, -'.png'.length),
      split,
      patient: patient!,
      files: [file, path],
      async load(problems = new Problems()) {
        const [stored] = await problems.all([file, () => readVolume(file, { dim: 2 })]);
        const image: Volume<2> = {
          ...stored,
          data: Int16Array.from(stored.data, (value) => value - offset),
          spacing: [spacing[1]!, spacing[0]!],
        };
        const objects = lesions.map(({ one, box }) => {
          const place = { file: path, field: `${one.field}: Bounding_boxes` };
          const region = box && boxRegion(image, [box[1]!, box[0]!, box[3]!, box[2]!], place, problems);
          const type = one.row.Coarse_lesion_type;
          return { region, name: byType ? (types[Number(type) - 1] ?? `type ${type}`) : 'lesion' };
        });
        return { image, ...drawObjects(image, objects, file) };
      },
    });
  }
  if (cases.length === 0) {
    const what = { field: 'key slices', found: 'without an image of any', expected: `some in ${join(folder, images)}` };
    problems.add({ code: 'empty-dataset', file: path, ...what });
    throw new StoppedReading();
  }
  return { ...headWith(folder, { ...options, classes }, { dim: 2, channels: 1 }), cases };
}

function refuse({ row, file, field }: CsvRow, column: string, expected: string, problems: Problems): void {
  problems.add({ file, field: `${field}: ${column}`, found: `'${row[column]}'`, expected });
}

/** Numbers with commas between in one cell; undefined where they are none, after that was said. */
function numbers(one: CsvRow, column: string, count: number, problems: Problems): number[] | undefined {
  const values = one.row[column]!.split(',').map(Number);
  if (values.length === count && values.every(Number.isFinite)) return values;
  refuse(one, column, `${count} numbers`, problems);
  return undefined;
}
