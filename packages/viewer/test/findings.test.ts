import { InputError } from '@mdt/core';
import { expect, test } from 'vitest';
import { classColor, labelColors } from '../src/page/colors.js';
import { caseFor, distance, findingsOf, parsePredictions, sidesText } from '../src/page/findings.js';
import type { ImageInfo } from '../src/page/protocol.js';
import { sortByRole } from '../src/page/sort-files.js';

const image: ImageInfo = {
  id: 'scan',
  dim: 3,
  size: [10, 20, 30],
  channels: 1,
  spacing: [3, 0.5, 0.5],
  origin: [-100, 0, 10],
  inMillimetres: true,
};

test('findings stand by score, with their sides and their middle in millimetres', () => {
  const found = {
    boxes: [
      [0, 0, 0, 1, 1, 1],
      [2, 4, 6, 4, 8, 16],
    ],
    scores: [0.2, 0.9],
    labels: [0, 1],
  };
  const [best, other] = findingsOf(found, image);
  expect([best!.index, other!.index]).toEqual([1, 0]);
  expect(best!.sides).toEqual([6, 2, 5]); // 2 x 3, 4 x 0.5, 10 x 0.5 mm
  expect(best!.middle).toEqual([3, 6, 11]);
  expect(best!.middleMm).toEqual([-100 + 2.5 * 3, 5.5 * 0.5, 10 + 10.5 * 0.5]);
  expect(sidesText(best!, image)).toBe('5.0 × 2.0 × 6.0 mm');
  expect(sidesText(best!, { inMillimetres: false })).toBe('5.0 × 2.0 × 6.0 voxels');
  expect(distance([0, 0, 0], [3, 4, 12])).toBe(13);
});

const written = {
  format: 'mdt-predictions',
  classes: ['cell'],
  cases: [
    { id: 'a', size: [4, 4], detections: [{ box: [0, 0, 2, 2], score: 0.5, label: 0 }] },
    { id: 'b', size: [4, 4], detections: [] },
  ],
};

test('predictions are read, and the case of an image is the one of its name and size', () => {
  const { classes, cases } = parsePredictions(JSON.stringify(written), 'p.json');
  expect(classes).toEqual(['cell']);
  expect(cases[0]!.found).toEqual({ boxes: [[0, 0, 2, 2]], scores: [0.5], labels: [0] });
  expect(caseFor(cases, { id: 'b', size: [4, 4] })?.id).toBe('b');
  expect(caseFor(cases, { id: 'c', size: [4, 4] })).toBeUndefined(); // it could be either
  expect(caseFor(cases.slice(0, 1), { id: 'c', size: [4, 4] })?.id).toBe('a');
  expect(caseFor(cases, { id: 'a', size: [4, 5] })).toBeUndefined();
});

test.each([
  ['', 'not JSON'],
  ['null', 'no predictions of mdt'],
  ['{"format":"mdt-predictions","classes":[1],"cases":[]}', 'no predictions of mdt'],
  [JSON.stringify({ ...written, cases: [{ id: 'a' }] }), 'case 0 has no id'],
  [JSON.stringify({ ...written, cases: [{ id: 'a', size: [4, 4], detections: [null] }] }), 'detection 0 of case'],
  [
    JSON.stringify({ ...written, cases: [{ id: 'a', size: [4, 4], detections: [{ box: [0, 0, 1, 1], score: 1, label: 1 }] }] }),
    'detection 0 of case',
  ],
])('predictions like %s are refused', (text, message) => {
  expect(() => parsePredictions(text, 'p.json')).toThrow(InputError);
  expect(() => parsePredictions(text, 'p.json')).toThrow(`p.json: `);
  expect(() => parsePredictions(text, 'p.json')).toThrow(message);
});

test('files that are dropped together are told apart by their names', () => {
  const paths = [
    's/IM1',
    's/.DS_Store',
    'm.onnx',
    'm.onnx.data',
    'ct-labels.npy',
    'x_seg.nii.gz',
    'predictions.json',
    'label.nii',
    'mallabel.nii',
  ];
  const sorted = sortByRole(paths.map((path) => ({ path })));
  expect(Object.fromEntries(Object.entries(sorted).map(([role, files]) => [role, files.map(({ path }) => path)]))).toEqual({
    image: ['s/IM1', 'mallabel.nii'],
    model: ['m.onnx', 'm.onnx.data'],
    predictions: ['predictions.json'],
    truth: ['ct-labels.npy', 'label.nii'],
    segmentation: ['x_seg.nii.gz'],
  });
});

test('a map of ids has the colours of the classes, and none for background', () => {
  const { R, G, B, A, I } = labelColors(8);
  expect(I).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8]);
  expect(A).toEqual([0, 255, 255, 255, 255, 255, 255, 255, 255]);
  expect(classColor(0)).toBe(`#${[R, G, B].map((values) => values[1]!.toString(16).padStart(2, '0')).join('')}`);
  expect([R[8], G[8], B[8]]).toEqual([R[1], G[1], B[1]]); // seven colours
});
