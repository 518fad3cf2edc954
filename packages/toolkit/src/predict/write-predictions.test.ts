import { readFile } from 'node:fs/promises';
import { decodeNifti } from '@mdt/formats';
import { boxesAsLabelMap, type ExportedCase, predictionsCsv, predictionsJson } from '@mdt/predictor';
import { expect, test } from 'vitest';
import { temporaryFolder } from '../../test/support.js';
import { writePredictions } from './write-predictions.js';

const one: ExportedCase = {
  id: 'scan "7", left',
  detections: { dim: 3, boxes: Float32Array.of(1, 2, 3, 4, 6, 8), scores: Float32Array.of(0.75), labels: Int32Array.of(1) },
  geometry: { dim: 3, size: [10, 20, 30], spacing: [2.5, 1, 0.5], origin: [-100, 0, 10] },
};
const classes = ['benign', 'malignant'];

test('writes both files whole', async () => {
  const dir = await temporaryFolder();
  const [json, csv] = await writePredictions(`${dir}/deep/er`, [one], { classes, dim: 3 });
  expect(await readFile(json!, 'utf8')).toBe(predictionsJson([one], { classes }));
  expect(await readFile(csv!, 'utf8')).toBe(predictionsCsv([one], { classes, dim: 3 }));
});

test('COCO results have boxes as x y z and their sides, and the case as their image', async () => {
  const dir = await temporaryFolder();
  const [file] = await writePredictions(dir, [{ ...one, id: '42' }], { classes, dim: 3, formats: ['coco'] });
  expect(file).toBe(`${dir}/coco-results.json`);
  expect(JSON.parse(await readFile(file!, 'utf8'))).toEqual([
    { image_id: 42, category_id: 2, bbox: [3, 2, 1, 5, 4, 3], score: 0.75 },
  ]);
});

test('cases whose ids a file system would confuse get files of their own; unknown formats are refused', async () => {
  const dir = await temporaryFolder();
  const twins = [one, { ...one, id: 'scan (7) left' }];
  const files = await writePredictions(dir, twins, { classes, dim: 3, formats: ['slicer'] });
  expect(files).toEqual([`${dir}/scan_7_left.mrk.json`, `${dir}/scan_7_left-2.mrk.json`]);
  const wrong = writePredictions(dir, [one], { classes, dim: 3, formats: ['dicom' as never] });
  await expect(wrong).rejects.toThrow("format 'dicom', expected some of json, csv");
});

test('a label map of boxes is stored as NIfTI with all its voxels', async () => {
  const dir = await temporaryFolder();
  const [file] = await writePredictions(dir, [one], { classes, dim: 3, formats: ['nifti'] });
  expect([...decodeNifti(await readFile(file!)).data]).toEqual([...boxesAsLabelMap(one).data]);
});
