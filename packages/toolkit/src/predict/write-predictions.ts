import { join } from 'node:path';
import { type Dim, InputError } from '@mdt/core';
import { toCocoResults } from '@mdt/eval-coco';
import { encodeNifti } from '@mdt/formats';
import {
  boxesAsLabelMap,
  type ExportedCase,
  nnDetectionCase,
  predictionsCsv,
  predictionsJson,
  slicerMarkups,
} from '@mdt/predictor';

import { fileNames, writeFileAtomic } from '../files.js';

export const predictionFormats = ['json', 'csv', 'coco', 'nifti', 'slicer', 'nndetection'] as const;
export type PredictionFormat = (typeof predictionFormats)[number];

export interface WritePredictionsOptions {
  classes: readonly string[];
  dim: Dim;
  /** Default `json` and `csv`. */
  formats?: readonly PredictionFormat[];
}

/**
 * Writes predictions into a folder, each file in one step: `predictions.json`, `predictions.csv`, `coco-results.json`, and for each case `ID-boxes.nii.gz` (label
 * map in the frame of the image), `ID.mrk.json` (3D Slicer markups), `ID-boxes.json` (nnDetection's fields).
 *
 * @returns the files that were written
 * @throws InputError `invalid-option` for an unknown format
 */
export async function writePredictions(
  dir: string,
  cases: readonly ExportedCase[],
  { classes, dim, formats = ['json', 'csv'] }: WritePredictionsOptions,
): Promise<string[]> {
  const unknown = formats.find((format) => !predictionFormats.includes(format));
  if (unknown !== undefined) {
    const text = `writePredictions: format '${unknown}', expected some of ${predictionFormats.join(', ')}`;
    throw new InputError('invalid-option', text);
  }
  const names = fileNames(cases.map(({ id }) => id));
  const perCase = (ending: string, encode: (item: ExportedCase) => string | Uint8Array) =>
    cases.map((item, i) => [`${names[i]}${ending}`, () => encode(item)] as const);
  const json = (value: unknown) => `${JSON.stringify(value, null, 1)}\n`;
  const files: Record<PredictionFormat, () => readonly (readonly [name: string, content: () => string | Uint8Array])[]> = {
    json: () => [['predictions.json', () => predictionsJson(cases, { classes })]],
    csv: () => [['predictions.csv', () => predictionsCsv(cases, { classes, dim })]],
    coco: () => [['coco-results.json', () => `${JSON.stringify(toCocoResults(cases))}\n`]],
    nifti: () => perCase('-boxes.nii.gz', (item) => encodeNifti(boxesAsLabelMap(item), { gzip: true })),
    slicer: () => perCase('.mrk.json', (item) => json(slicerMarkups(item, { classes }))),
    nndetection: () => perCase('-boxes.json', (item) => json(nnDetectionCase(item))),
  };
  const written: string[] = [];
  for (const format of new Set(formats)) {
    for (const [name, content] of files[format]()) {
      const path = join(dir, name);
      await writeFileAtomic(path, content());
      written.push(path);
    }
  }
  return written;
}
