import { type Dim, InputError } from '@mdt/core';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  combineMasks,
  countsFromString,
  countsToString,
  decodeMask,
  encodeMask,
  evaluateDetections,
  fromCocoJson,
  maskArea,
  maskBox,
  maskIou,
  masksFromLabels,
  polygonsToRle,
  type Rle,
} from './index.js';

test('runs go down the columns, zeros first', () => {
  // 0 1
  // 1 1
  expect(encodeMask([0, 1, 1, 1], [2, 2]).counts).toEqual(Uint32Array.of(1, 3));
  expect(encodeMask([1, 0, 1, 0], [2, 2]).counts).toEqual(Uint32Array.of(0, 2, 2));
  expect(encodeMask([0, 0, 1, 1, 0, 0, 0, 0], [2, 2, 2]).counts).toEqual(Uint32Array.of(1, 1, 1, 1, 4)); // slice by slice
});

const masks = fc
  .record({
    size: fc.array(fc.integer({ min: 1, max: 7 }), { minLength: 2, maxLength: 3 }),
    seed: fc.array(fc.boolean(), { minLength: 343, maxLength: 343 }),
    other: fc.array(fc.boolean(), { minLength: 343, maxLength: 343 }),
  })
  .map(({ size, seed, other }) => {
    const n = size.reduce((a, b) => a * b, 1);
    return { size, a: Uint8Array.from(seed.slice(0, n), Number), b: Uint8Array.from(other.slice(0, n), Number) };
  });

test('decoding undoes encoding, as numbers and as text; area, box and overlap are those of the voxels', () => {
  fc.assert(
    fc.property(masks, ({ size, a, b }) => {
      const [p, q] = [encodeMask(a, size), encodeMask(b, size)];
      expect(decodeMask(p)).toEqual(a);
      expect(countsFromString(countsToString(p.counts))).toEqual(p.counts);
      const area = a.reduce((sum, v) => sum + v, 0);
      const shared = a.reduce((sum, v, i) => sum + (v & b[i]!), 0);
      const either = a.reduce((sum, v, i) => sum + (v | b[i]!), 0);
      expect(maskArea(p)).toBe(area);
      expect(maskIou(p, q)).toBeCloseTo(shared === 0 ? 0 : shared / either, 12);
      expect(maskIou(p, q, { crowd: true })).toBeCloseTo(shared === 0 ? 0 : shared / area, 12);
      expect(decodeMask(combineMasks([p, q], 'union'))).toEqual(a.map((v, i) => v | b[i]!));
      expect(decodeMask(combineMasks([p, q], 'intersection'))).toEqual(a.map((v, i) => v & b[i]!));
      expect(decodeMask(combineMasks([p, q], 'difference'))).toEqual(a.map((v, i) => v & ~b[i]! & 1));
      expect(maskBox(p)).toEqual(boxOfVoxels(a, size));
    }),
  );
});

function boxOfVoxels(mask: Uint8Array, size: readonly number[]): number[] {
  const low = size.map(() => Infinity);
  const high = size.map(() => 0);
  mask.forEach((value, flat) => {
    if (!value) return;
    let rest = flat;
    for (let d = size.length - 1; d >= 0; d--) {
      low[d] = Math.min(low[d]!, rest % size[d]!);
      high[d] = Math.max(high[d]!, (rest % size[d]!) + 1);
      rest = Math.floor(rest / size[d]!);
    }
  });
  return high[0] === 0 ? size.flatMap(() => [0, 0]) : [...low, ...high];
}

test('a label map gives one mask per label', () => {
  fc.assert(
    fc.property(masks, ({ size, a, b }) => {
      const labels = a.map((v, i) => 5 * v + 2 * b[i]!); // 0, 2, 5, 7
      const found = masksFromLabels(labels, size);
      expect([...found.keys()]).toEqual([...new Set(labels)].filter((label) => label > 0).sort((x, y) => x - y));
      for (const [label, rle] of found) expect(rle).toEqual(encodeMask(labels, size, (value) => value === label));
    }),
  );
});

test('a square outline covers its pixels, and several outlines their union', () => {
  const square = polygonsToRle([[1, 1, 4, 1, 4, 3, 1, 3]], [5, 6]);
  expect(maskBox(square)).toEqual([1, 1, 3, 4]);
  expect(maskArea(square)).toBe(6);
  const two = polygonsToRle(
    [
      [1, 1, 4, 1, 4, 3, 1, 3],
      [2, 2, 5, 2, 5, 4, 2, 4],
    ],
    [5, 6],
  );
  expect(maskArea(two)).toBe(6 + 6 - 2);
  expect(maskArea(polygonsToRle([], [5, 6]))).toBe(0);
});

test('texts that are no run lengths are refused', () => {
  for (const text of ['~', 'n', '\n', 'oooooooooo0']) expect(() => countsFromString(text)).toThrow(InputError);
  expect(countsFromString('')).toHaveLength(0);
});

/** A case with one object and detections, given by their masks as rows of 0 and 1. */
function maskCase(dim: Dim, size: readonly number[], object: readonly number[], found: readonly (readonly number[])[]) {
  const rles = (list: readonly (readonly number[])[]): Rle[] => list.map((mask) => encodeMask(mask, size));
  const boxes = (list: readonly Rle[]) => Float64Array.from(list.flatMap(maskBox));
  const [truth, detected] = [rles([object]), rles(found)];
  return {
    id: 'a',
    detections: {
      dim,
      boxes: boxes(detected),
      masks: detected,
      scores: Float64Array.from(found, (_, i) => 0.9 - i / 10),
      labels: new Int32Array(found.length),
    },
    groundTruth: { dim, boxes: boxes(truth), masks: truth, labels: Int32Array.of(0) },
  };
}

test('masks decide where boxes cannot: a diagonal in the box of a square', () => {
  const item = maskCase(2, [2, 2], [1, 1, 1, 1], [[1, 0, 0, 1]]); // mask IoU 1/2, box IoU 1
  const options = { classes: ['cell'], iouThresholds: [0.5, 0.6] };
  const byMask = evaluateDetections([item], { ...options, shape: 'masks' });
  expect([byMask.apAt(0.5), byMask.apAt(0.6)]).toEqual([1, 0]);
  expect(evaluateDetections([item], options).ap).toBe(1);
});

test('flat masks as slices of a volume give the numbers of 2D', () => {
  const options = { classes: ['cell'], iouThresholds: [0.3, 0.5, 0.7], shape: 'masks' } as const;
  const object = [0, 1, 1, 0, 1, 1];
  const found = [
    [0, 1, 0, 0, 1, 0],
    [1, 1, 0, 1, 1, 0],
  ];
  const flat = evaluateDetections([maskCase(2, [2, 3], object, found)], options);
  const thick = (mask: readonly number[]) => [...mask, ...mask, ...mask.map(() => 0)];
  const deep = evaluateDetections([maskCase(3, [3, 2, 3], thick(object), found.map(thick))], options);
  expect(deep.precision).toEqual(flat.precision);
});

test('masks that do not fit are refused with the row', () => {
  const options = { classes: ['cell'], iouThresholds: [0.5], shape: 'masks' } as const;
  const good = maskCase(2, [2, 2], [1, 1, 1, 1], [[1, 0, 0, 1]]);
  const run = (change: object) => () => evaluateDetections([{ ...good, detections: { ...good.detections, ...change } }], options);
  expect(run({ masks: undefined })).toThrow("case 'a': detections has no masks");
  expect(run({ masks: [] })).toThrow('masks has 0 entries, expected 1');
  expect(run({ masks: [{ size: [2, 2], counts: Uint32Array.of(3) }] })).toThrow("row 0: mask's runs sum to 3, expected 4");
  expect(() => evaluateDetections([{ ...good, size: [3, 3] }], options)).toThrow(
    'row 0 has a mask of 2 x 2 voxels, expected 3 x 3',
  );
});

test('COCO files with damaged masks are refused with their place', () => {
  const truth = {
    images: [{ id: 1, height: 4, width: 4 }],
    annotations: [{ id: 5, image_id: 1, category_id: 1, segmentation: [[0, 0, 2, 0, 2, 2]] }],
    categories: [{ id: 1, name: 'cell' }],
  };
  const result = { image_id: 1, category_id: 1, score: 0.5, segmentation: { size: [4, 4], counts: [0, 16] } };
  const read =
    (segmentation: unknown, change: object = {}) =>
    () =>
      fromCocoJson({ ...truth, ...change }, [{ ...result, segmentation }], { masks: true });
  expect(read(result.segmentation)().cases[0]!.detections.boxes).toEqual(Float64Array.of(0, 0, 4, 4));
  expect(read({ size: [4, 5], counts: [0, 20] })).toThrow(/results\[0\].segmentation.size is 4,5, expected 4,4/);
  expect(read({ size: [4, 4], counts: [0, 15] })).toThrow(/runs sum to 15, expected 16/);
  expect(read({ size: [4, 4], counts: 'ÿ' })).toThrow(/not run lengths/);
  expect(read([[0, 0, 1]])).toThrow(/segmentation\[0\]: expected an even list/);
  expect(read([[0, 0, 2, 0, 2, 2]], { images: [{ id: 1 }] })).toThrow(/need the image's height and width/);
  const twice = [truth.annotations[0], truth.annotations[0]];
  expect(read(result.segmentation, { annotations: twice })).toThrow(/annotations\[1\] has the id of annotations\[0\], 5/);
});
