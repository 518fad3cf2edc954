import { cp, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Dim, toPhysical, volume } from '@mdt/core';
import { decodeNifti, encodeNifti, encodeNrrd } from '@mdt/formats';
import { beforeAll, expect, test } from 'vitest';
import { data } from './chromium.js';
import { tilted } from './images.js';
import { makeModels } from './models.js';
import { useReader } from './page.js';

const use = useReader();
let model: string;
beforeAll(async () => {
  model = (await makeModels(use.folder, ['flat'])).flat;
});

const size = [6, 16, 20] as const;
const voxels = Int16Array.from({ length: 6 * 16 * 20 }, (_, i) => (i * 31) % 400);
const scan = volume({ dim: 3, size, data: voxels, ...(tilted as object) });
const names = () => use.reader.page.locator('#rows .name').allTextContents();

test('an image and a model that are dropped together are opened, and detected in', async () => {
  const { reader, folder } = use;
  const png = join(folder, 'cells.png');
  // A picture as any camera makes it: drawn by the browser.
  const url = (await reader.page.evaluate(`(() => {
    const canvas = document.createElement('canvas');
    [canvas.width, canvas.height] = [80, 70];
    const context = canvas.getContext('2d');
    context.fillRect(0, 0, 80, 70);
    context.fillStyle = '#ddd';
    context.arc(40, 30, 9, 0, 7);
    context.fill();
    return canvas.toDataURL('image/png');
  })()`)) as string;
  await writeFile(png, Buffer.from(url.split(',')[1]!, 'base64'));
  const solid = join(folder, 'scan.nrrd');
  await writeFile(solid, encodeNrrd(scan));
  await reader.drop([solid, model]);
  await reader.says(/^Model flat.onnx is ready/);
  expect(await names()).toEqual(['scan.nrrd', 'flat.onnx', 'none', 'none', 'none']);
  await reader.press('d'); // a model for images looks at a volume slice by slice
  await reader.says(/\d+ detections in/);
  await reader.drop([png]);
  await reader.says(/^cells: 70 × 80 voxels of \d channels|^cells: 70 × 80 voxels, no voxel size/);
});

test('a folder of DICOM is one image, with its name and its millimetres', async () => {
  const { reader } = use;
  await reader.drop([data('ct-files/example_ct_dicom')]);
  await reader.says(/^example_ct_dicom: \d+ × \d+ × \d+ voxels, [\d.]+ × [\d.]+ × [\d.]+ mm/);
  expect((await names())[0]).toMatch(/^example_ct_dicom \(\d+ files\)$/);
});

test('images, label maps and predictions are told apart by their names; downloads hold what is shown', async () => {
  const { reader, folder } = use;
  const dir = join(folder, 'case');
  await mkdir(dir);
  const labels = new Uint8Array(voxels.length);
  for (let z = 1; z < 4; z++) for (let y = 3; y < 9; y++) labels.fill(1, (z * 16 + y) * 20 + 5, (z * 16 + y) * 20 + 11);
  await writeFile(join(dir, 'lung.nii.gz'), encodeNifti(scan, { gzip: true }));
  await writeFile(join(dir, 'lung-labels.nii'), encodeNifti(volume({ dim: 3, size, data: labels, ...(tilted as object) })));
  await cp(join(dir, 'lung-labels.nii'), join(dir, 'lung-seg.nii'));
  const detections = [
    { box: [1, 3, 5, 4, 9, 11], score: 0.9, label: 1 },
    { box: [0, 0, 0, 2, 4, 4], score: 0.2, label: 0 },
  ];
  const cases = [{ id: 'lung', size: [...size], detections }];
  await writeFile(
    join(dir, 'predictions.json'),
    JSON.stringify({ format: 'mdt-predictions', classes: ['a', 'nodule, "solid"'], cases }),
  );
  await reader.drop([dir]);
  await reader.says(/Segmentation shown/);
  expect(await reader.page.textContent('#count')).toBe('2 of 2');
  expect(await reader.page.isEnabled('#show-truth')).toBe(true);
  expect(await reader.page.isEnabled('#show-segmentation')).toBe(true);
  await reader.page.locator('#score').fill('0.5');

  const json = await reader.downloaded('json');
  const { cases: stored, classes } = JSON.parse(json.bytes.toString());
  expect([json.name, classes]).toEqual(['lung-predictions.json', ['a', 'nodule, "solid"']]);
  expect(stored[0]).toMatchObject({ id: 'lung', size: [6, 16, 20] });
  expect(stored[0].detections).toHaveLength(1);
  const [only] = stored[0].detections;
  expect(only).toMatchObject({ box: [1, 3, 5, 4, 9, 11], label: 1, class: 'nodule, "solid"' });
  expect(only.score).toBeCloseTo(0.9, 6);
  const millimetres = Array.from(toPhysical([1, 3, 5, 4, 9, 11], scan as typeof scan & { dim: Dim }));
  only.boxMm.forEach((mm: number, i: number) => {
    expect(mm).toBeCloseTo(millimetres[i]!, 3); // NIfTI keeps 32-bit floats
  });

  const csv = await reader.downloaded('csv');
  const [header, row, end] = csv.bytes.toString().split('\r\n');
  expect(csv.name).toBe('lung-predictions.csv');
  expect(header).toBe('case,class,label,score,z1,y1,x1,z2,y2,x2,z1_mm,y1_mm,x1_mm,z2_mm,y2_mm,x2_mm');
  expect(row).toMatch(/^"lung","nodule, ""solid""",1,0\.9,1,3,5,4,9,11,/);
  expect(end).toBe('');

  const map = await reader.downloaded('nifti');
  expect(map.name).toBe('lung-boxes.nii.gz');
  const { data: ids, header: place } = await decodeNifti(map.bytes);
  expect(Array.from(ids, (id) => (id > 0 ? 1 : 0))).toEqual(Array.from(labels));
  place.geometry!.spacing.forEach((step, i) => {
    expect(step).toBeCloseTo(tilted.spacing![i]!, 5);
  });
});

test('the page made no complaint', () => {
  expect([use.reader.complaints, use.reader.foreign]).toEqual([[], []]);
});
