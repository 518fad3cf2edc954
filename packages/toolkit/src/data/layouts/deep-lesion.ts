import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { InputError, type Volume } from '@mdt/core';
import { readVolume } from '../volume-file.js';
import type { SourceDataset } from '../write-dataset.js';
import { readCsv, rowsBy } from './csv.js';
import { boxRegions, drawRegions } from './draw.js';
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
export async function deepLesionLayout(folder: string, options: DeepLesionOptions = {}): Promise<SourceDataset<2>> {
  const { table = 'DL_info.csv', images = 'Images_png', byType = false, noisy = false } = options;
  const path = join(folder, table);
  const slices = rowsBy('File_name', await readCsv(path, columns), path);
  const classes = byType ? types : ['lesion'];
  const cases: SourceDataset<2>['cases'][number][] = [];
  for (const [name, rows] of slices) {
    const match = /^(\d+)_(\d+)_(\d+)_(\d+)\.png$/.exec(name);
    const refuse = (field: string, expected: string): never => {
      throw new InputError('invalid-data', `${rows[0]!.where}: ${field} is '${rows[0]!.row[field]}', expected ${expected}`);
    };
    if (!match) return refuse('File_name', 'PATIENT_STUDY_SERIES_SLICE.png');
    const [, patient, study, series, slice] = match;
    const kept = rows.filter(
      ({ row }) => (noisy || row.Possibly_noisy !== '1') && !(byType && Number(row.Coarse_lesion_type) < 1),
    );
    if (kept.length === 0 || (byType && kept.length < rows.length)) continue;
    const split =
      ({ 1: 'train', 2: 'validation', 3: 'test' } as const)[rows[0]!.row.Train_Val_Test as '1'] ??
      refuse('Train_Val_Test', '1, 2 or 3');
    const file = join(folder, images, `${patient}_${study}_${series}`, `${slice}.png`);
    if (!(await stat(file).catch(() => undefined))?.isFile()) continue;
    cases.push({
      id: name.slice(0, -'.png'.length),
      split,
      patient: patient!,
      files: [file, path],
      async load() {
        const stored = await readVolume(file, { dim: 2 });
        const spacing = numbers(kept[0]!, 'Spacing_mm_px_', 3);
        const image: Volume<2> = {
          ...stored,
          data: Int16Array.from(stored.data, (value) => value - offset),
          spacing: [spacing[1]!, spacing[0]!],
        };
        const boxes = kept.flatMap((one) => {
          const [x1, y1, x2, y2] = numbers(one, 'Bounding_boxes', 4);
          return [y1!, x1!, y2!, x2!];
        });
        const nameOf = (type: string | undefined) => (byType ? (types[Number(type) - 1] ?? `type ${type}`) : 'lesion');
        return {
          image,
          labelMap: drawRegions(image, boxRegions(image, boxes, kept[0]!.where), file) as Volume<2, Uint16Array>,
          objectClasses: Object.fromEntries(kept.map(({ row }, i) => [i + 1, nameOf(row.Coarse_lesion_type)])),
        };
      },
    });
  }
  if (cases.length === 0) throw new InputError('empty-dataset', `${join(folder, images)}: no key slice of ${path} is there`);
  return { ...headWith(folder, { ...options, classes }, { dim: 2, channels: 1 }), cases };
}

function numbers({ row, where }: { row: Record<string, string>; where: string }, column: string, count: number): number[] {
  const values = row[column]!.split(',').map(Number);
  if (values.length === count && values.every(Number.isFinite)) return values;
  throw new InputError('invalid-data', `${where}: ${column} is '${row[column]}', expected ${count} numbers`);
}
