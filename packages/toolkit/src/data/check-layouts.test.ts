import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Volume, volume } from '@mdt/core';
import { encodeNifti, encodeNpy, encodeNrrd } from '@mdt/formats';
import { beforeAll, expect, test } from 'vitest';
import { mdt, temporaryFolder } from '../../test/support.js';
import { encodePng } from '../plot/png.js';
import { checkDataset, type LayoutName, openLayout, Problems, StoppedReading, writeSynthLidc } from './index.js';

let root = '';
beforeAll(async () => {
  root = await temporaryFolder();
});

async function write(path: string, content: string | Uint8Array): Promise<void> {
  await mkdir(join(root, path, '..'), { recursive: true });
  await writeFile(join(root, path), content);
}

/** Errors of a check, as `file | field | expected | found`, without the folder. */
async function faults(layout: LayoutName, folder: string, options: object = {}): Promise<string[]> {
  const { problems } = await checkDataset(join(root, folder), { layout, options });
  return problems
    .filter(({ level }) => level === 'error')
    .map((one) =>
      [one.file, one.field, one.expected, one.found]
        .join(' | ')
        .replaceAll(`${join(root, folder)}/`, '')
        .replaceAll(root, ''),
    );
}

/** A volume of 3x4x5; each image differs, so that none counts as a copy. */
let shade = 0;
const image = (): Volume<3> => {
  const data = Int16Array.from({ length: 60 }, (_, i) => i + 100 * shade);
  shade++;
  return volume({ dim: 3, data, size: [3, 4, 5], spacing: [2, 1, 1] });
};
const labels = (...places: [z: number, y: number, x: number, value: number][]) => {
  const data = new Uint8Array(60);
  for (const [z, y, x, value] of places) data[(z * 4 + y) * 5 + x] = value;
  return volume({ dim: 3, data, size: [3, 4, 5], spacing: [2, 1, 1] });
};

test('a folder of label maps: missing and broken files of several cases, values without a class, sizes', async () => {
  for (const id of ['a', 'b', 'c', 'd']) {
    await write(`folder/images/${id}.nrrd`, encodeNrrd(image()));
    await write(`folder/labels/${id}.nrrd`, encodeNrrd(labels([0, 0, 0, 1])));
  }
  await rm(join(root, 'folder/labels/a.nrrd'));
  await write('folder/images/b.nrrd', 'NRRD0005\n');
  await write('folder/labels/b.nrrd', 'NRRD0005\n');
  await write('folder/labels/c.nrrd', encodeNrrd(labels([0, 0, 0, 3], [1, 1, 1, 1], [2, 2, 2, 4])));
  await write('folder/labels/d.nrrd', encodeNrrd(volume({ dim: 3, data: new Uint8Array(8), size: [2, 2, 2] })));
  const classes = ['mass', 'cyst'];
  expect(await faults('folder', 'folder', { classes, objects: 'classes' })).toEqual([
    'labels | label map of a | one for each image | missing',
    expect.stringMatching(/^images\/b.nrrd \| content/),
    expect.stringMatching(/^labels\/b.nrrd \| content/),
    'labels/c.nrrd | value | 0 to 2 (mass, cyst) | 3, 4',
    'labels/d.nrrd | size | 3x4x5 as images/d.nrrd | 2x2x2',
  ]);
});

test('a mask per object: a broken one, one of another size and one without a class', async () => {
  await write('masks/images/a.nrrd', encodeNrrd(image()));
  for (const name of ['big', 'small', 'odd']) await write(`masks/labels/a/${name}.nrrd`, encodeNrrd(labels([1, 1, 1, 1])));
  await write('masks/labels/a/broken.nrrd', 'NRRD0005\n');
  await write('masks/labels/a/odd.nrrd', encodeNrrd(volume({ dim: 3, data: new Uint8Array(8), size: [2, 2, 2] })));
  await write('masks/classes.csv', 'case,object,class\na,small,mass\na,odd,mass\na,broken\n');
  expect(await faults('folder', 'masks', { classes: ['mass'], objects: 'masks', classTable: 'classes.csv' })).toEqual([
    'classes.csv | line 4 | 3 | of 2 cells',
    expect.stringMatching(/^labels\/a\/broken.nrrd \| content/),
    "labels/a/big.nrrd | object 'big' | one in the table | without a class",
    'labels/a/odd.nrrd | size | 3x4x5 as its image | 2x2x2',
  ]);
});

test('boxes in a CSV and in a JSON: numbers that are none, boxes outside, classes and cases that there are not', async () => {
  for (const id of ['a', 'b']) await write(`boxes/images/${id}.nrrd`, encodeNrrd(image()));
  const rows = [
    'a,cist,0,0,0,1,one,',
    'a,cyst,0,0,0,1,1,1',
    'b,cyst,0,0,9,1,1,12',
    'b,cyst,5,0,0,6,1,1',
    'b,mole,0,0,0,2,2,2',
    'z,cyst,0,0,0,1,1,1',
  ];
  await write('boxes/boxes.csv', `case,class,z1,y1,x1,z2,y2,x2\n${rows.join('\n')}\n`);
  expect(await faults('boxes', 'boxes', { classes: ['cyst'] })).toEqual([
    "boxes.csv | row 1: y2 | a number | 'one'",
    "boxes.csv | row 1: x2 | a number | ''",
    'boxes.csv | case z | one for each case | without an image',
    'boxes.csv | row 3: box | a box within 3x4x5 | 0, 0, 9, 1, 1, 12',
    'boxes.csv | row 4: box | a box within 3x4x5 | 5, 0, 0, 6, 1, 1',
    "boxes.csv | class | one of cyst | 'mole'",
  ]);
  const cases = [{ id: 'a', objects: [{ box: [1, 2] }, { box: [0, 0, 0, 1, 1, 1], class: 7 }] }, { id: 'a', objects: [] }, null];
  await write('boxes/boxes.json', JSON.stringify({ unit: 'metres', cases }));
  expect(await faults('boxes', 'boxes', { table: 'boxes.json' })).toEqual([
    `boxes.json | unit | 'voxels' or 'millimetres' | "metres"`,
    'boxes.json | cases[0].objects[0].box | 6 numbers | [1,2]',
    'boxes.json | cases[0].objects[1].class | a text | 7',
    'boxes.json | cases[1].id | a text of its own | "a"',
    'boxes.json | cases[2].id | a text of its own | missing',
    'boxes.json | cases[2].objects | a list of { box, class } | missing',
  ]);
  expect(await faults('boxes', 'boxes', { table: 'none.csv', images: 'nowhere' })).toEqual([
    'nowhere | file | a file that can be read | no such file',
    'none.csv | file | a file that can be read | no such file',
  ]);
});

test('LUNA16: voxels that lack, rows that are none, nodules outside', async () => {
  const head = (name: string) =>
    `ObjectType = Image\nNDims = 3\nDimSize = 10 10 6\nElementType = MET_SHORT\nElementSpacing = 1 1 2\nElementDataFile = ${name}.raw\n`;
  for (const id of ['1.1', '1.2']) await write(`luna/subset0/${id}.mhd`, head(id));
  await write(
    'luna/subset0/1.1.raw',
    Uint8Array.from({ length: 1200 }, (_, i) => i % 7),
  );
  const rows = ['1.1,4,5,4,wide', '1.1,4,5,100,3', '1.3,0,0,0,3'];
  await write('luna/annotations.csv', `seriesuid,coordX,coordY,coordZ,diameter_mm\n${rows.join('\n')}\n`);
  expect(await faults('luna16', 'luna')).toEqual([
    "annotations.csv | row 1: diameter_mm | a number | 'wide'",
    'annotations.csv | case 1.3 | one for each case | without an image',
    'annotations.csv | row 2: nodule | a box within 6x10x10 | 49.75, 4, 3, 51.25, 7, 6',
    expect.stringMatching(/^subset0\/1.2.mhd \| file/),
  ]);
});

test('COCO: lists, names, ids, outlines and boxes', async () => {
  for (const name of ['p', 'q']) await write(`coco/images/${name}.png`, encodePng(new Uint8Array(80).fill(shade++), 10, 8, 1));
  const one = (more: object) => ({ image_id: 5, category_id: 9, bbox: [1, 2, 3, 4], ...more });
  const json = {
    images: [
      { id: 5, file_name: 'p.png', width: 10, height: 8 },
      { id: 6, file_name: 'q.png', width: 11, height: 8 },
      { id: 7, file_name: '../q.png', width: 10, height: 8 },
    ],
    categories: [{ id: 9, name: 'cell' }],
    annotations: [
      one({ image_id: 8, category_id: 1 }),
      null,
      one({ bbox: [1, 2, 3] }),
      one({ segmentation: [[0, 0, 1]] }),
      one({ segmentation: { size: [9, 9], counts: [81] } }),
      one({ bbox: [20, 20, 2, 2] }),
      one({}),
    ],
  };
  await write('coco/annotations.json', JSON.stringify(json));
  expect(await faults('coco', 'coco')).toEqual([
    'annotations.json | images[2].file_name | a file of images | "../q.png"',
    'annotations.json | annotations[1] | an object | null',
    'annotations.json | annotations[0].image_id | one of images | 8',
    'annotations.json | annotations[0].category_id | one of categories | 1',
    'annotations.json | annotations[2].bbox | x, y, width, height | [1,2,3]',
    'annotations.json | annotations[3].segmentation | polygons of x and y, three points or more | [[0,0,1]]',
    'annotations.json | annotations[4].segmentation | 8x10 | of 9x9 pixels',
    'annotations.json | annotations[5].bbox | a box within 8x10 | 20, 20, 22, 22',
    'images/q.png | size | 8x11 as annotations.json | 8x10 pixels',
  ]);
  await write('coco/none.json', JSON.stringify({ images: 3, annotations: {} }));
  expect(await faults('coco', 'coco', { table: 'none.json' })).toEqual([
    'none.json | categories | a list | missing',
    'none.json | images | a list | 3',
    'none.json | annotations | a list | {}',
    'none.json | images | one or more | without a good entry',
    'none.json | categories | one or more | without a good entry',
  ]);
});

test('nnDetection: modalities, tables and label maps of several cases', async () => {
  for (const id of ['a', 'b', 'c']) {
    for (const m of [0, 1]) await write(`nnd/imagesTr/${id}_000${m}.nii`, encodeNifti(image()));
    await write(`nnd/labelsTr/${id}.nii`, encodeNifti(labels([0, 0, 0, 1], [2, 2, 2, 2])));
    await write(`nnd/labelsTr/${id}.json`, JSON.stringify({ instances: { 1: 0, 2: 1 } }));
  }
  await write('nnd/dataset.json', JSON.stringify({ labels: { 0: 'mass', 1: 'cyst' }, modalities: { 0: 'CT', 1: 'PET' } }));
  expect(await faults('nndetection', 'nnd')).toEqual([]);
  await rm(join(root, 'nnd/imagesTr/a_0000.nii'));
  await rm(join(root, 'nnd/imagesTr/a_0001.nii'));
  await write('nnd/labelsTr/b.json', JSON.stringify({ instances: { 1: 4, 2: 'cyst' } }));
  await write('nnd/imagesTr/b_0001.nii', encodeNifti(volume({ dim: 3, data: new Uint8Array(8), size: [2, 2, 2] })));
  await write('nnd/labelsTr/c.json', '{');
  await write('nnd/labelsTr/c.nii', 'short');
  expect(await faults('nndetection', 'nnd')).toEqual([
    expect.stringMatching(/^imagesTr \| .*a_0000/),
    expect.stringMatching(/^imagesTr \| .*a_0001/),
    'labelsTr/b.json | instances.1 | a class number from 0 to 1 | 4',
    'labelsTr/b.json | instances.2 | a class number from 0 to 1 | "cyst"',
    'imagesTr/b_0001.nii | size | 3x4x5 as imagesTr/b_0000.nii | 2x2x2',
    expect.stringMatching(/^labelsTr\/c.nii \| content/),
    expect.stringMatching(/^labelsTr\/c.json \| content/),
  ]);
  await write('nnd/dataset.json', JSON.stringify({ labels: ['mass', 'cyst'].slice(1, 1), dim: 4 }));
  await rm(join(root, 'nnd/labelsTr'), { recursive: true });
  expect(await faults('nndetection', 'nnd')).toEqual([
    'dataset.json | labels | numbers from 0 on | []',
    'dataset.json | dim | 2 or 3 | 4',
    'labelsTr | file | a file that can be read | no such file',
  ]);
});

test('DeepLesion: names, parts, spacings and boxes of rows', async () => {
  const head = 'File_name,Bounding_boxes,Coarse_lesion_type,Possibly_noisy,Spacing_mm_px_,Train_Val_Test';
  const rows = [
    'slice.png,"1, 1, 3, 3",3,0,"0.8, 0.8, 5",1',
    '000001_01_01_001.png,"1, 1, 3",3,0,"0.8, 0.8",4',
    '000002_01_01_001.png,"1, 1, 3, 3",3,0,"0.8, 0.8, 5",1',
    '000002_01_01_001.png,"8, 8, 12, 12",3,0,"0.8, 0.8, 5",1',
  ];
  await write('deep/DL_info.csv', `${head}\n${rows.join('\n')}\n`);
  await write(
    'deep/Images_png/000002_01_01/001.png',
    encodePng(
      Uint8Array.from({ length: 64 }, (_, i) => i),
      8,
      8,
      1,
    ),
  );
  expect(await faults('deep-lesion', 'deep')).toEqual([
    "DL_info.csv | row 1: File_name | PATIENT_STUDY_SERIES_SLICE.png | 'slice.png'",
    "DL_info.csv | row 2: Train_Val_Test | 1, 2 or 3 | '4'",
    "DL_info.csv | row 2: Spacing_mm_px_ | 3 numbers | '0.8, 0.8'",
    "DL_info.csv | row 2: Bounding_boxes | 4 numbers | '1, 1, 3'",
    'DL_info.csv | row 4: Bounding_boxes | a box within 8x8 | 8, 8, 12, 12',
  ]);
});

test("the original's arrays: rows of the table, and files", async () => {
  for (const [pid, voxels] of Object.entries({ p1: 60, p2: 60, p3: 59 })) {
    await write(
      `original/${pid}_img.npy`,
      encodeNpy(
        Float32Array.from({ length: 60 }, (_, i) => i + shade++),
        [3, 4, 5],
      ),
    );
    await write(`original/${pid}_rois.npy`, encodeNpy(new Uint8Array(60), [3, 4, 5]).subarray(0, 128 + voxels));
  }
  await rm(join(root, 'original/p2_img.npy'));
  const rows = [
    { pid: 'p1', class_target: 'high' },
    { pid: 'p2', class_target: [2] },
    null,
    { pid: 'p3', class_target: [1, 5] },
    { pid: 'p3', class_target: 0 },
  ];
  await write('original/info.json', JSON.stringify(rows));
  expect(await faults('original-arrays', 'original', { targets: 'classes' })).toEqual([
    'info.json | row 1: class_target | a number or a list of numbers | "high"',
    'info.json | row 2: class_target | a class from 0 to 1 | 2',
    'p2_img.npy |  | that of row 2 of info.json | no such file',
    'info.json | row 3: pid | a name | missing',
    'info.json | row 3: class_target | a number or a list of numbers | missing',
    'info.json | row 4: class_target | a class from 0 to 1 | 5',
    expect.stringMatching(/^p3_rois.npy \| content/),
  ]);
});

test("LIDC: fields of readers' marks, places outside the series, and files of readings", { timeout: 60_000 }, async () => {
  await writeSynthLidc(join(root, 'lidc'), { cases: 2, size: [24, 96, 96], seed: 1, formats: ['dicom'] });
  const xml = join(root, 'lidc/dicom/SYNTH-0001/SYNTH-0001.xml');
  const text = await readFile(xml, 'utf8');
  const last = text.lastIndexOf('<yCoord>') + '<yCoord>'.length;
  const replaced = `${text.slice(0, last)}1.5${text.slice(last + /^\d+/.exec(text.slice(last))![0].length)}`
    .replace(/<malignancy>\d/, '<malignancy>9')
    .replace(/<xCoord>\d+/, '<xCoord>left');
  await writeFile(xml, replaced);
  await writeFile(join(root, 'lidc/dicom/SYNTH-0002/SYNTH-0002.xml'), '<LidcReadMessage>');
  const found = await faults('lidc', 'lidc/dicom');
  expect(
    found
      .slice(0, 3)
      .map((one) => one.replace(/reader \d, nodule '[^']*'/, 'mark'))
      .sort(),
  ).toEqual([
    "SYNTH-0001/SYNTH-0001.xml | mark: malignancy | 1 to 6 | '9'",
    "SYNTH-0001/SYNTH-0001.xml | mark: xCoord | a whole number | 'left'",
    "SYNTH-0001/SYNTH-0001.xml | mark: yCoord | a whole number | '1.5'",
  ]);
  expect(found.slice(3)).toEqual([expect.stringMatching(/^SYNTH-0002\/SYNTH-0002.xml \| content/)]);
  await writeFile(xml, text.replace(/<imageZposition>[^<]+/, '<imageZposition>4711'));
  await writeFile(join(root, 'lidc/dicom/SYNTH-0002/SYNTH-0002-copy.xml'), text);
  expect(await faults('lidc', 'lidc/dicom')).toEqual([
    'SYNTH-0002 | XML files | one | 2',
    expect.stringMatching(/^SYNTH-0001.*imageZposition \| a slice of the series.* \| 4711$/),
  ]);
});

test("what the original's preprocessing of LIDC expects: scans, names of masks, ratings and sizes", async () => {
  const mark = encodeNifti(labels([1, 1, 1, 1]));
  for (const name of ['1_0011_Nodule_7', '2_0012_Nodule_7', '1_0099_Nodule_8', 'mask'])
    await write(`converted/p1/p1_${name}.nii`, mark);
  await write('converted/p1/p1_ct_scan.nrrd', encodeNrrd(image()));
  await write('converted/p1/p1_2_0012_Nodule_7.nii', encodeNifti(volume({ dim: 3, data: new Uint8Array(8), size: [2, 2, 2] })));
  await write('converted/p2/p2_1_0021_Nodule_1.nii', mark);
  await write('converted/characteristics.csv', 'PatientID;NoduleID;Malignancy\np1;11;5\np1;12;4\np2;21;high\np2;22;\n');
  expect(await faults('lidc-converted', 'converted')).toEqual([
    'characteristics.csv | NoduleID 99 of patient p1, which p1_1_0099_Nodule_8.nii names, | a row | missing',
    'p1/p1_mask.nii | name | four or more with _ between | of 2 words',
    'p2/p2_ct_scan.nrrd |  | the scan of the patient | no such file',
    "characteristics.csv | row 3: Malignancy | a number | 'high'",
    "characteristics.csv | row 4: Malignancy | a number | ''",
    'characteristics.csv | NoduleID 21 of patient p2, which p2_1_0021_Nodule_1.nii names, | a row | missing',
    'p1/p1_2_0012_Nodule_7.nii | size | 3x4x5 as the scan | 2x2x2',
  ]);
});

test('a good data set in another layout has statistics and pictures; options are checked', async () => {
  for (const id of ['a', 'b', 'c']) await write(`good/images/${id}.nrrd`, encodeNrrd(image()));
  await write('good/boxes.csv', 'case,class,z1,y1,x1,z2,y2,x2\na,cyst,0,0,0,1,2,2\na,cyst,1,2,2,2,3,4\nb,cyst,0,0,0,2,2,2\n');
  const folder = join(root, 'good');
  const report = await checkDataset(folder, { layout: 'boxes', options: { classes: ['cyst'] } });
  expect(report.problems).toEqual([]);
  expect(report.cases).toEqual({ train: 1, validation: 1, test: 1 });
  expect(report.classes[0]).toMatchObject({ name: 'cyst', objects: 3, cases: 2 });
  expect(report.sizes.median).toEqual([3, 4, 5]);
  const { code, out } = await mdt('dataset', 'check', folder, '--layout', 'boxes', '--classes', 'cyst');
  expect([code, out]).toEqual([0, expect.stringContaining(`0 errors, 0 warnings\npictures and statistics: ${folder}-check`)]);
  expect((await readFile(`${folder}-check/a.png`)).length).toBeGreaterThan(100);
  const wrong = await mdt('dataset', 'check', folder, '--layout', 'boxes', '--no-pictures', '--classes', 'mass');
  expect([wrong.code, wrong.out]).toEqual([3, expect.stringContaining("class is 'cyst', expected one of mass")]);
  await expect(checkDataset(folder, { layout: 'boxes', options: { tabel: 'x' } })).rejects.toThrow("did you mean 'table'?");
  await expect(checkDataset(folder, { layout: 'boxes', options: { validation: 2 } })).rejects.toThrow('expected shares');
  expect((await mdt('dataset', 'check', folder, '--classes', 'cyst')).err).toContain('got classes, expected --layout beside it');
});

test('a list of problems can be had without a check: the reader leaves out what is wrong', async () => {
  const texts: string[] = [];
  const collect = new Problems(({ file, field }) => texts.push(`${file.slice(root.length)} ${field}`));
  const source = await openLayout('boxes', join(root, 'boxes'), { classes: ['cyst'] }, collect);
  expect(texts).toEqual(['/boxes/boxes.csv row 1: y2', '/boxes/boxes.csv row 1: x2', '/boxes/boxes.csv case z']);
  const one = await source.cases.find(({ id }) => id === 'a')!.load(collect);
  expect(one.objectClasses).toEqual({ 1: 'cyst' });
  await expect(openLayout('coco', join(root, 'boxes'), {}, collect)).rejects.toThrow(StoppedReading);
  expect(texts.at(-1)).toBe('/boxes/annotations.json file');
  await expect(openLayout('boxes', join(root, 'boxes'))).rejects.toThrow("row 1: y2 is 'one', expected a number");
});
