import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { temporaryFolder } from '../../../test/support.js';
import { folderLayout, lidcLayout, openDataset, parseLidcXml, type SynthScan, synthLidc, writeSynthLidc } from '../index.js';
import { lidcTable } from './lidc-table.js';

let root = '';
beforeAll(async () => {
  root = await temporaryFolder();
});

const small = { size: [24, 72, 80], spacing: [4, 3, 3] } as const;

/** Comparing large arrays value by value takes the test runner seconds. */
const sameBytes = (a: ArrayBufferView, b: ArrayBufferView) =>
  Buffer.from(a.buffer, a.byteOffset, a.byteLength).equals(Buffer.from(b.buffer, b.byteOffset, b.byteLength));

async function scans(options: Parameters<typeof synthLidc>[0]): Promise<SynthScan[]> {
  const all: SynthScan[] = [];
  for await (const scan of synthLidc(options)) all.push(scan);
  return all;
}

test('the table has the 1018 scans of LIDC-IDRI, most nodules with several readers', async () => {
  const table = await lidcTable();
  expect(table).toHaveLength(1018);
  const nodules = table.flatMap((scan) => scan.nodules);
  expect(nodules).toHaveLength(2671);
  expect(nodules.filter((marks) => marks.length === 4)).toHaveLength(899);
  expect(nodules.flat()).toHaveLength(6859);
});

test('the same seed gives the same scans, and each depends on its own number alone', async () => {
  const [one, two] = await scans({ ...small, cases: 2, seed: 4 });
  const [again] = await scans({ ...small, cases: 1, seed: 4 });
  expect(sameBytes(again!.image.data, one!.image.data)).toBe(true);
  expect(again!.reading).toEqual(one!.reading);
  expect(sameBytes(two!.image.data, one!.image.data)).toBe(false);
  const [other] = await scans({ ...small, cases: 1, seed: 5 });
  expect(sameBytes(other!.image.data, one!.image.data)).toBe(false);
});

test('an image has air, lung, muscle and bone, and its nodules lie in the lungs', async () => {
  const all = await scans({ ...small, cases: 3, seed: 1 });
  for (const { image } of all) {
    const share = (low: number, high: number) => image.data.filter((v) => v >= low && v < high).length / image.data.length;
    expect(share(-1200, -930)).toBeGreaterThan(0.1);
    expect(share(-930, -750)).toBeGreaterThan(0.05);
    expect(share(0, 100)).toBeGreaterThan(0.1);
    expect(share(350, 600)).toBeGreaterThan(0.005);
    expect(image.spacing).toEqual([4, 3, 3]);
  }
  expect(all.some(({ reading }) => reading.marks.length > 0)).toBe(true);
  for (const { reading } of all) for (const { reader } of reading.marks) expect([0, 1, 2, 3]).toContain(reader);
});

test('the DICOM files with their XML and the NIfTI files hold the same images, objects and classes', async () => {
  const folder = join(root, 'both');
  await writeSynthLidc(folder, { ...small, cases: 3, seed: 1 });
  expect(await readdir(join(folder, 'dicom/SYNTH-0001'))).toHaveLength(24 + 1);
  const lidc = await openDataset(await lidcLayout(join(folder, 'dicom')), { dim: 3 });
  const classes = ['benign', 'malignant'];
  const nifti = await openDataset(await folderLayout(join(folder, 'nifti'), { classes, classTable: 'classes.csv' }), { dim: 3 });
  expect(lidc.ids).toEqual(['SYNTH-0001', 'SYNTH-0002', 'SYNTH-0003']);
  let objects = 0;
  for (const id of lidc.ids) {
    const [a, b] = [await lidc.load(id), await nifti.load(id)];
    expect(sameBytes(a.image.data, b.image.data)).toBe(true);
    expect(sameBytes(a.labelMap.data, b.labelMap.data)).toBe(true);
    expect(a.objects).toEqual(b.objects);
    for (const name of ['spacing', 'origin'] as const) {
      a.image[name].forEach((value, i) => {
        expect(value).toBeCloseTo(b.image[name][i]!, 4);
      });
    }
    objects += a.objects.labels.length;
  }
  expect(objects).toBeGreaterThan(0);
  const xml = await readFile(join(folder, 'dicom/SYNTH-0001/SYNTH-0001.xml'), 'utf8');
  expect(parseLidcXml(xml, 'xml').readers).toBe(4);
  await expect(writeSynthLidc(folder, { ...small, cases: 1 })).rejects.toThrow('exists, pass overwrite');
});

test('options that cannot be are refused', async () => {
  await expect(scans({ cases: 0 })).rejects.toThrow('cases is 0');
  await expect(scans({ cases: 1, size: [4, 64, 64] })).rejects.toThrow('size is 4,64,64');
  await expect(writeSynthLidc(join(root, 'no'), { cases: 1, formats: ['png' as never] })).rejects.toThrow("format 'png'");
});
