import { rng } from '@mdt/core';
import { expect, test } from 'vitest';
import { boxesFromLabelMap, createSample, objectsFromLabelMap } from './index.js';

// biome-ignore format: a picture
const labelMap = Int32Array.of(
  0, 3, 3, 0,
  0, 3, 0, 0,
  1, 0, 0, 0,
);
const objectLabels = Int32Array.of(7, 8, 9);
const sample = createSample({ dim: 2, size: [3, 4], image: new Float32Array(12), labelMap, objectLabels });

test('boxes are half-open, and objects that are not there are left out', () => {
  expect(objectsFromLabelMap(labelMap, [3, 4], objectLabels)).toEqual({
    boxes: Float32Array.of(2, 0, 3, 1, /**/ 0, 1, 2, 3),
    labels: Int32Array.of(7, 9),
    objectIds: Int32Array.of(1, 3),
    voxels: Int32Array.of(1, 3),
  });
});

test('the same map as a volume of one slice gives the same boxes with z from 0 to 1', () => {
  const { boxes } = objectsFromLabelMap(labelMap, [1, 3, 4], objectLabels);
  expect(boxes).toEqual(Float32Array.of(0, 2, 0, 1, 3, 1, /**/ 0, 0, 1, 1, 2, 3));
});

test('an object with too few voxels is dropped and erased from the label map', () => {
  const { sample: drawn } = boxesFromLabelMap<2>({ minVoxels: 2 })(sample, rng(0));
  expect(drawn.objectIds).toEqual(Int32Array.of(3));
  expect(drawn.labelMap).toEqual(labelMap.map((id) => (id === 1 ? 0 : id)));
  expect(sample.labelMap).toEqual(labelMap);
  expect(drawn.labelMap).not.toBe(sample.labelMap);
});

test('legacy boxes start one voxel early on every axis, as in the Python toolkit', () => {
  const { sample: drawn } = boxesFromLabelMap<2>({ legacy: true })(sample, rng(0));
  expect(drawn.boxes).toEqual(Float32Array.of(1, -1, 3, 1, /**/ -1, 0, 2, 3));
});

test('an image without objects has no boxes', () => {
  const empty = createSample({ dim: 3, size: [2, 2, 2], image: new Float32Array(8) });
  const { sample: drawn } = boxesFromLabelMap<3>()(empty, rng(0));
  expect([drawn.boxes.length, drawn.labels.length, drawn.objectIds.length]).toEqual([0, 0, 0]);
});

test('a label map that does not fit is refused', () => {
  expect(() => objectsFromLabelMap(labelMap, [3, 5], objectLabels)).toThrow(/has 12 values, expected 15/);
  expect(() => objectsFromLabelMap(labelMap, [3, 4], Int32Array.of(0))).toThrow(/has object 3, but there are 1 object labels/);
  expect(() => objectsFromLabelMap(Int32Array.of(-1), [1, 1], objectLabels)).toThrow(/object -1/);
  expect(() => boxesFromLabelMap({ minVoxels: Number.NaN })).toThrow(/minVoxels is NaN/);
  expect(() => boxesFromLabelMap({ minVoxel: 3 } as never)).toThrow(/did you mean 'minVoxels'/);
});
