import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { crc32, deflateSync } from 'node:zlib';
import { type Dim, toPhysical, volume } from '@mdt/core';
import { encodeNifti, encodeNpy, encodeNrrd } from '@mdt/formats';
import { beforeAll, expect, test } from 'vitest';
import { mdt, temporaryFolder } from '../../../test/support.js';
import { encodePng } from '../../plot/png.js';
import { checkDataset, initDataset, type LayoutName, openDataset, openLayout } from '../index.js';
import { type ConsensusOptions, consensusOf, groupMarks, type ReaderMark } from './lidc/consensus.js';
import { encodeLidcXml, type LidcReading, parseLidcXml } from './lidc/lidc-xml.js';
import { eachVoxel, localMask } from './lidc/local-mask.js';

let root = '';
beforeAll(async () => {
  root = await temporaryFolder();
});

async function write(path: string, content: string | Uint8Array): Promise<void> {
  await mkdir(join(root, path, '..'), { recursive: true });
  await writeFile(join(root, path), content);
}

const open = async (layout: LayoutName, folder: string, options: object = {}) =>
  openDataset<Dim>(await openLayout(layout, join(root, folder), options));

/** A volume of 3x4x5 with values in places `[z, y, x, value]`. */
function labels(...places: [number, number, number, number][]) {
  const data = new Uint8Array(60);
  for (const [z, y, x, value] of places) data[(z * 4 + y) * 5 + x] = value;
  return volume({ dim: 3, data, size: [3, 4, 5], spacing: [2, 1, 1] });
}
const image = volume({ dim: 3, data: Int16Array.from({ length: 60 }, (_, i) => i), size: [3, 4, 5], spacing: [2, 1, 1] });

test('a JSON of boxes, in voxels or millimetres; an image that it does not name is a negative', async () => {
  const box = [0, 1, 1, 2, 3, 4];
  for (const id of ['a', 'b']) await write(`json/images/${id}.nrrd`, encodeNrrd(image));
  const objects = (values: readonly number[]) => [{ id: 'a', objects: [{ box: values, class: 'cyst' }] }];
  await write('json/boxes.json', JSON.stringify({ cases: objects(box) }));
  await write('json/mm.json', JSON.stringify({ unit: 'millimetres', cases: objects([...toPhysical(box, image)]) }));
  for (const table of ['boxes.json', 'mm.json']) {
    const dataset = await open('boxes', 'json', { table, classes: ['lesion', 'cyst'] });
    expect(Array.from((await dataset.load('a')).objects.boxes)).toEqual(box);
    expect([dataset.classesOf('a'), dataset.classesOf('b')]).toEqual([[1], []]);
  }
  await write('json/bad.json', JSON.stringify({ cases: [{ id: 'a', objects: [{ box: [1, 2] }] }] }));
  await expect(open('boxes', 'json', { table: 'bad.json' })).rejects.toThrow(
    'bad.json: cases[0].objects[0].box is [1,2], expected 6 numbers',
  );
  await expect(open('boxes', 'json', { tabel: 'x' })).rejects.toThrow("unknown option 'tabel', did you mean 'table'?");
});

test('label maps with a table of classes, and a mask file per object', async () => {
  await write('masks/images/a.nrrd', encodeNrrd(image));
  await write('masks/labels/a.nrrd', encodeNrrd(labels([0, 0, 0, 3], [1, 2, 2, 7])));
  await write('masks/classes.csv', 'case,object,class\na,3,cyst\na,7,mass\na,big,mass\na,small,cyst\n');
  const classes = ['mass', 'cyst'];
  const ids = await (await open('folder', 'masks', { classes, classTable: 'classes.csv' })).load('a');
  expect(Array.from(ids.objects.labels)).toEqual([1, 0]);
  const all: [number, number, number, number][] = [0, 1, 2].map((x) => [1, 1, x, 1]);
  await write('masks/single/a/big.nii.gz', encodeNifti(labels(...all), { gzip: true }));
  await write('masks/single/a/small.nii.gz', encodeNifti(labels([1, 1, 2, 255]), { gzip: true }));
  const options = { labels: 'single', objects: 'masks', classes, classTable: 'classes.csv' };
  const { objects } = await (await open('folder', 'masks', options)).load('a');
  expect(Array.from(objects.boxes)).toEqual([1, 1, 0, 2, 2, 2, 1, 1, 2, 2, 2, 3]); // the smaller lies on top of the larger
  expect(Array.from(objects.labels)).toEqual([0, 1]);
  await write('masks/classes.csv', 'case,object,class\na,3,cyst\n');
  await expect(open('folder', 'masks', { classes, classTable: 'classes.csv' })).rejects.toThrow(
    'value is 7, expected one that the table names',
  );
});

test('COCO: boxes, polygons and runs; crowds are left out', async () => {
  await write('coco/images/p.png', encodePng(new Uint8Array(8 * 10 * 3), 10, 8, 3));
  const one = (more: object) => ({ image_id: 5, category_id: 9, ...more });
  const json = {
    images: [{ id: 5, file_name: 'p.png', width: 10, height: 8 }],
    categories: [
      { id: 9, name: 'cell' },
      { id: 4, name: 'dust' },
    ],
    annotations: [
      one({ bbox: [1, 2, 3, 4] }),
      one({ category_id: 4, bbox: [6, 0, 2, 2], segmentation: [[6, 0, 8, 0, 8, 2, 6, 2]] }),
      one({ bbox: [9, 7, 1, 1], segmentation: { size: [8, 10], counts: [79, 1] } }),
      one({ bbox: [0, 0, 10, 8], iscrowd: 1, segmentation: { size: [8, 10], counts: [0, 80] } }),
    ],
  };
  await write('coco/annotations.json', JSON.stringify(json));
  const dataset = await open('coco', 'coco');
  expect([dataset.classes, dataset.channels]).toEqual([['dust', 'cell'], 3]);
  const { objects } = await dataset.load('p');
  expect(Array.from(objects.boxes)).toEqual([2, 1, 6, 4, 0, 6, 2, 8, 7, 9, 8, 10]);
  expect(Array.from(objects.labels)).toEqual([1, 0, 1]);
  await write('coco/bad.json', JSON.stringify({ ...json, annotations: [one({ category_id: 1 })] }));
  await expect(open('coco', 'coco', { table: 'bad.json' })).rejects.toThrow(
    'annotations[0].category_id is 1, expected one of categories',
  );
  await write('coco/bad.json', JSON.stringify({ ...json, images: [{ ...json.images[0], file_name: '../p.png' }] }));
  await expect(open('coco', 'coco', { table: 'bad.json' })).rejects.toThrow('images[0].file_name is "../p.png"');
});

test('DeepLesion: key slices in Hounsfield units with their boxes, parts by patient as the table has them', async () => {
  const head = 'File_name,Bounding_boxes,Coarse_lesion_type,Possibly_noisy,Spacing_mm_px_,Train_Val_Test';
  const rows = [
    '000001_01_01_109.png,"2.2, 3.1, 6, 6.9",3,0,"0.8, 0.8, 5",3',
    '000001_01_01_109.png,"0, 0, 2, 2",5,0,"0.8, 0.8, 5",3',
    '000002_01_01_010.png,"1, 1, 3, 3",-1,0,"0.5, 0.5, 5",1',
    '000003_01_01_001.png,"1, 1, 3, 3",-1,1,"0.5, 0.5, 5",1', // possibly noisy
    '000004_01_01_001.png,"1, 1, 3, 3",-1,0,"0.5, 0.5, 5",1', // in an archive that is not here
  ];
  await write('deep/DL_info.csv', `${head}\n${rows.join('\n')}\n`);
  for (const name of ['000001_01_01/109', '000002_01_01/010', '000003_01_01/001'])
    await write(`deep/Images_png/${name}.png`, grey16(8, 8, 32768 - 500));
  const dataset = await open('deep-lesion', 'deep');
  expect(dataset.ids).toEqual(['000001_01_01_109', '000002_01_01_010']);
  const one = await dataset.load('000001_01_01_109');
  expect(one.image.data[9]).toBe(-500);
  expect(one.image.spacing).toEqual([0.8, 0.8]);
  expect(Array.from(one.objects.boxes)).toEqual([3, 2, 7, 6, 0, 0, 2, 2]); // y x, rounded
  expect(dataset.patientOf('000001_01_01_109')).toBe('000001');
  expect(dataset.split('test').ids).toEqual(['000001_01_01_109']);
  const typed = await open('deep-lesion', 'deep', { byType: true });
  expect(typed.ids).toEqual(['000001_01_01_109']);
  expect(typed.classesOf('000001_01_01_109').map((label) => typed.classes[label])).toEqual(['mediastinum', 'lung']);
});

/** A grey PNG of 16 bits, every pixel alike (ISO/IEC 15948). */
function grey16(width: number, height: number, value: number): Uint8Array {
  const chunk = (name: string, data: Uint8Array) => {
    const body = Buffer.concat([Buffer.from(name, 'latin1'), data]);
    const out = Buffer.alloc(body.length + 8);
    out.writeUInt32BE(data.length);
    body.copy(out, 4);
    out.writeUInt32BE(crc32(body), body.length + 4);
    return out;
  };
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width);
  header.writeUInt32BE(height, 4);
  header[8] = 16;
  const lines = Buffer.alloc(height * (1 + 2 * width));
  for (let y = 0; y < height; y++) for (let x = 0; x < width; x++) lines.writeUInt16BE(value, y * (1 + 2 * width) + 1 + 2 * x);
  const mark = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
  return Buffer.concat([mark, chunk('IHDR', header), chunk('IDAT', deflateSync(lines)), chunk('IEND', new Uint8Array(0))]);
}

test("the original's arrays: a class target per label, or one for all connected parts; channels first", async () => {
  const rois = labels([0, 0, 0, 1], [1, 2, 2, 2], [2, 2, 2, 2]);
  for (const [pid, data, shape] of [
    ['p1', Float32Array.from(image.data), [3, 4, 5]],
    ['p2', Float32Array.from({ length: 60 }, (_, i) => 2 * i), [3, 4, 5]],
  ] as const) {
    await write(`original/${pid}_img.npy`, encodeNpy(data, shape));
    await write(`original/${pid}_rois.npy`, encodeNpy(rois.data, [3, 4, 5]));
  }
  await write(
    'original/info.json',
    JSON.stringify([
      { pid: 'p1', class_target: [2.5, 3], fg_slices: [0] },
      { pid: 'p2', class_target: 4 },
    ]),
  );
  const dataset = await open('original-arrays', 'original');
  const [one, two] = [await dataset.load('p1'), await dataset.load('p2')];
  expect(Array.from(one.objects.labels)).toEqual([0, 1]); // malignant from 3 on
  expect(Array.from(two.objects.labels)).toEqual([1, 1]); // two parts
  expect(one.image.spacing).toEqual([1.25, 0.7, 0.7]);
  await write(
    'pet/p1_img.npy',
    encodeNpy(
      Float32Array.from({ length: 120 }, (_, i) => i),
      [2, 3, 4, 5],
    ),
  );
  await write('pet/p1_rois.npy', encodeNpy(rois.data, [3, 4, 5]));
  await write('pet/info.json', JSON.stringify([{ pid: 'p1', class_target: 0 }]));
  const pet = await open('original-arrays', 'pet', { classes: ['foreground'] });
  expect(pet.channels).toBe(2);
  expect(Array.from((await pet.load('p1')).image.data.slice(0, 4))).toEqual([0, 60, 1, 61]);
  await write('pet/info.json', JSON.stringify([{ pid: 'gone', class_target: 0 }]));
  await expect(open('original-arrays', 'pet')).rejects.toThrow('gone_img.npy: no such file');
});

test("what the original's preprocessing of LIDC expects: marks of one region are joined, ratings come from the table", async () => {
  const mark = (...xs: number[]) =>
    encodeNifti(labels(...xs.map((x): [number, number, number, number] => [1, 1, x, 1])), { gzip: true });
  await write('lidc-converted/0001a/0001a_ct_scan.nrrd', encodeNrrd(image));
  await write('lidc-converted/0001a/0001a_1_0011_Nodule_7.nii.gz', mark(1, 2));
  await write('lidc-converted/0001a/0001a_2_0012_Nodule_7.nii.gz', mark(2, 3));
  await write('lidc-converted/0001a/0001a_1_0013_Nodule_8.nii.gz', mark(4));
  await write('lidc-converted/characteristics.csv', 'PatientID;NoduleID;Malignancy\n0001a;11;5\n0001a;12;5\n0001a;13;1\n');
  const one = await (await open('lidc-converted', 'lidc-converted')).load('0001a');
  expect(Array.from(one.objects.boxes)).toEqual([1, 1, 2, 2, 2, 3]); // the voxel of two readers; region 8 has one reader
  expect(Array.from(one.objects.labels)).toEqual([1]);
  const original = await open('lidc-converted', 'lidc-converted', { consensus: { malignancy: 'mean-of-all' } });
  expect(Array.from((await original.load('0001a')).objects.labels)).toEqual([0]); // (5 + 5 + 0 + 0) / 4 = 2.5
});

test('four readers: agreement, joined ratings and shape, each by its option', () => {
  const box = (reader: number, x0: number, x1: number, malignancy?: number): ReaderMark => ({
    reader,
    mask: localMask([0, 0, x0], [1, 1, x1], (set) => {
      for (let x = x0; x < x1; x++) set(0, 0, x, 1);
    })!,
    ...(malignancy !== undefined && { malignancy }),
  });
  const marks = [box(0, 0, 4, 5), box(1, 2, 6, 3), box(2, 3, 8, 1), box(3, 20, 22, 4)];
  const groups = groupMarks(marks);
  expect(groups.map((group) => group.map(({ reader }) => reader))).toEqual([[0, 1, 2], [3]]);
  const extent = (options: ConsensusOptions) => {
    const found = consensusOf(groups[0]!, [1, 1, 1], options);
    if (!found) return undefined;
    const xs: number[] = [];
    eachVoxel(found.mask, (_z, _y, x) => xs.push(x));
    return [Math.min(...xs), Math.max(...xs) + 1, found.malignancy, found.malignant];
  };
  expect(extent({})).toEqual([2, 6, 3, true]); // two of four: 2 to 4 and 3 to 6
  expect(extent({ of: 'markers', agreement: 1 })).toEqual([3, 4, 3, true]);
  expect(extent({ agreement: 0.25 })).toEqual([0, 8, 3, true]);
  expect(extent({ malignancy: 'mean-of-all' })).toEqual([2, 6, 9 / 4, false]);
  expect(extent({ malignancy: 'median', threshold: 3.5 })).toEqual([2, 6, 3, false]);
  expect(extent({ dropIndeterminate: true })).toBeUndefined();
  expect(extent({ agreement: 1 })).toBeUndefined(); // only three of four marked it
  // The mean of 4, 4 and 5 voxels is a sphere of radius (3 · 13/3 / 4π)^⅓ = 1.01 about the mean of the centres 1.5, 3.5 and 5: 3.33.
  expect(extent({ shape: 'sphere' })!.slice(0, 2)).toEqual([3, 5]);
  expect(consensusOf(groups[1]!, [1, 1, 1])).toBeUndefined();
});

test("LIDC's XML is written and read back; what is not LIDC's, or damaged, is refused", () => {
  const reading: LidcReading = {
    ...{ studyUid: '1.2', seriesUid: '1.3', readers: 2 },
    marks: [
      {
        ...{ reader: 1, id: 'n1', ratings: { malignancy: 4, subtlety: 2 } },
        contours: [{ z: -12.5, sliceUid: '1.4', inclusion: false, points: Int32Array.of(1, 2, 3, 4, 5, 6) }],
      },
    ],
  };
  const text = encodeLidcXml(reading);
  expect(parseLidcXml(text, 'x.xml')).toEqual(reading);
  expect(() => parseLidcXml('<IdriReadMessage/>', 'x.xml')).toThrow('x.xml: found <IdriReadMessage>, expected <LidcReadMessage>');
  expect(() => parseLidcXml(text.replace('<xCoord>1<', '<xCoord>one<'), 'x.xml')).toThrow(
    "nodule 'n1': xCoord is 'one', expected a whole number",
  );
  expect(() => parseLidcXml(text.slice(0, -30), 'x.xml')).toThrow(/x\.xml: character \d+/);
  expect(() => parseLidcXml('<!DOCTYPE a [<!ENTITY b "c">]><a/>', 'x.xml')).toThrow('expected a tag or text');
  expect(() => parseLidcXml('<a>&b;</a>', 'x.xml')).toThrow('unknown entity &b;');
  expect(() => parseLidcXml('<a>'.repeat(100), 'x.xml')).toThrow('more than 64 elements');
});

test('init makes a data set in place; check names file, field, expected and found of every problem, and draws', {
  timeout: 60_000,
}, async () => {
  for (const id of ['a', 'b', 'c']) {
    await write(`place/images/${id}.nrrd`, encodeNrrd(image));
    await write(`place/labels/${id}.nrrd`, encodeNrrd(labels([0, 0, 0, 1], [1, 2, 2, 1], [2, 2, 2, 2])));
  }
  const folder = join(root, 'place');
  const { code, out } = await mdt('dataset', 'init', folder, '--classes', 'benign,malignant', '--objects', 'classes');
  expect([code, out]).toEqual([0, `${folder}/dataset.json: 3 cases, classes benign, malignant\n`]);
  const { objects } = await (await openDataset(folder, { dim: 3 })).load('a');
  expect(Array.from(objects.labels)).toEqual([0, 0, 1]); // two parts of value 1, one of value 2
  await expect(initDataset(folder)).rejects.toThrow('exists, pass overwrite');
  const json = JSON.parse(JSON.stringify((await initDataset(folder, { classes: ['one', 'two'], overwrite: true })) as object));
  expect(json.cases[0].objectClasses).toEqual({ 1: 'one', 2: 'one' });
  json.cases[0].split = 'val';
  json.cases[1].imag = 'x';
  json.channels = 1;
  await write('place/dataset.json', JSON.stringify(json));
  await write('place/labels/c.nrrd', encodeNrrd(labels([0, 0, 0, 9])));
  const { problems } = await checkDataset(folder);
  expect(
    problems
      .filter(({ level }) => level === 'error')
      .map(({ file, field, expected, found }) => [file.slice(folder.length), field, expected, found]),
  ).toEqual([
    ['/dataset.json', 'cases[0].split', 'one of train, validation, test', '"val"'],
    [
      '/dataset.json',
      'cases[1]',
      expect.stringContaining('one of id, image'),
      "an object with the unknown option 'imag', did you mean 'image'?",
    ],
    ['/labels/c.nrrd', 'object 9', 'a class in objectClasses', 'without one'],
  ]);
  const checked = await mdt('dataset', 'check', folder);
  expect(checked.code).toBe(3);
  expect(checked.out).toMatch(/size +voxels +3 x 4 x 5/);
  for (const name of ['c.png', 'statistics.svg', 'statistics.png'])
    await expect(import('node:fs/promises').then(({ stat }) => stat(join(folder, 'check', name)))).resolves.toBeTruthy();
});
