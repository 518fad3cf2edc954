import { type Dim, perAxis, pointsToPhysical, product, rng, rows, toPhysical, type Volume, volume } from '@mdt/core';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { SpotDetector } from '../test/support.js';
import { createImagePredictor, isOrientation, orientationOf, prepareImage, reoriented, resampleVolume } from './index.js';

const identity = (n: number): number[] => Array.from({ length: n * n }, (_, i) => (i % (n + 1) === 0 ? 1 : 0));

/** A placement with its axes shuffled, turned round, and tilted a little. */
function anyVolume(seed: number, dim: Dim): Volume<Dim, Float32Array> {
  const random = rng(`placement ${seed}`);
  const order = Array.from(random.choose(dim, dim));
  const tilt = random.uniform(-0.4, 0.4);
  const [c, s] = [Math.cos(tilt), Math.sin(tilt)];
  const turned: number[] = identity(dim);
  const [p, q] = [dim - 2, dim - 1];
  turned[p * dim + p] = c;
  turned[p * dim + q] = -s;
  turned[q * dim + p] = s;
  turned[q * dim + q] = c;
  const signs = order.map(() => (random.uniform(0, 1) < 0.5 ? -1 : 1));
  const direction = Array.from(
    { length: dim * dim },
    (_, i) => signs[i % dim]! * turned[Math.floor(i / dim) * dim + order[i % dim]!]!,
  );
  const size = Array.from({ length: dim }, () => random.integer(2, 6));
  const channels = random.integer(1, 3);
  const data = Float32Array.from({ length: product(size) * channels }, (_, i) => i);
  const spacing = size.map(() => random.uniform(0.5, 3));
  const origin = size.map(() => random.uniform(-50, 50));
  return volume({ dim, data, size, channels, spacing, origin, direction });
}

/** Every voxel as its value and its place. */
function places(image: Volume<Dim, Float32Array>): Map<number, number[]> {
  const { dim, size, channels, data } = image;
  const found = new Map<number, number[]>();
  for (let i = 0; i < data.length; i += channels) {
    let rest = i / channels;
    const index = new Array<number>(dim);
    for (let d = dim - 1; d >= 0; d--) {
      index[d] = rest % size[d]!;
      rest = Math.floor(rest / size[d]!);
    }
    found.set(
      data[i]!,
      Array.from(pointsToPhysical(index, image), (mm) => Math.round(mm * 1e6) / 1e6),
    );
  }
  return found;
}

describe('orientation', () => {
  test('says where the axes of an array point', () => {
    const of = (direction: number[]) => orientationOf(volume({ dim: 3, data: new Uint8Array(1), size: [1, 1, 1], direction }));
    expect(of(identity(3))).toBe('SPL');
    expect(of([-1, 0, 0, 0, -1, 0, 0, 0, -1])).toBe('IAR');
    expect(of([0, 0, 1, 0, 1, 0, 1, 0, 0])).toBe('LPS'); // rows and columns of space are z, y, x
    expect(of([1, 0, 0, 0, 0.8, -0.6, 0, 0.6, 0.8])).toBe('SPL'); // tilted by 37 degrees
    expect(orientationOf(volume({ dim: 2, data: new Uint8Array(1), size: [1, 1], direction: [0, -1, 1, 0] }))).toBe('LA');
  });

  test('is a letter for each axis of space', () => {
    expect(['SPL', 'LPS', 'ARI'].map((text) => isOrientation(text, 3))).toEqual([true, true, true]);
    expect(['SPP', 'SP', 'SPLL', 'XYZ', '', 'SIL'].map((text) => isOrientation(text, 3))).toEqual(new Array(6).fill(false));
    expect([isOrientation('PL', 2), isOrientation('PA', 2)]).toEqual([true, false]);
  });

  test('turning an image moves no voxel in millimetres, and the way back gives the array again', () => {
    fc.assert(
      fc.property(fc.integer(), fc.constantFrom<Dim>(2, 3), fc.constantFrom('SPL', 'LIA', 'ARS'), (seed, dim, target) => {
        const image = anyVolume(seed, dim);
        const to = dim === 3 ? target : { SPL: 'PL', LIA: 'RP', ARS: 'AR' }[target]!;
        const turned = reoriented(image, to);
        expect(orientationOf(turned)).toBe(to);
        expect(places(turned)).toEqual(places(image));
        expect(reoriented(turned, orientationOf(image)).data).toEqual(image.data);
      }),
      { numRuns: 60 },
    );
  });

  test('an image that is there already is given back, and one that cannot be turned so is refused', () => {
    const image = volume({ dim: 3, data: new Float32Array(8), size: [2, 2, 2] });
    expect(reoriented(image, 'SPL')).toBe(image);
    expect(reoriented(image, 'PL')).toBe(image);
    expect(() => reoriented(image, 'SPP')).toThrow("cannot be turned to 'SPP'");
    expect(() => reoriented(volume({ dim: 2, data: new Float32Array(4), size: [2, 2] }), 'SPL')).toThrow('2 axes (PL)');
  });
});

test('half the spacing gives twice the voxels, whose outer edges stay where they were', () => {
  const image = volume({ dim: 2, data: Float32Array.of(0, 4), size: [1, 2], spacing: [1, 2] });
  const fine = resampleVolume(image, { spacing: [1, 1] });
  expect([fine.size, Array.from(fine.data), fine.origin]).toEqual([
    [1, 4],
    [0, 1, 3, 4],
    [0, -0.5],
  ]);
  expect(Array.from(toPhysical([0, 0, 1, 4], fine))).toEqual(Array.from(toPhysical([0, 0, 1, 2], image)));
  expect(() => resampleVolume(image, { spacing: [1, 1e-6], mostBytes: 1000 })).toThrow(/4000000 voxels.*limit of 1000 bytes/);
  expect(() => resampleVolume(image, { spacing: [1, 0] })).toThrow('above 0');
});

test('an image is turned, resampled and normalised, in this order', () => {
  const data = Float32Array.of(0, 4, 8, 12);
  const image = volume({ dim: 2, data, size: [1, 4], direction: [1, 0, 0, -1] }); // x to the right
  const halve = (one: Volume<Dim, Float32Array>) => ({ ...one, data: one.data.map((v) => v / 2) });
  const prepared = prepareImage(image, { spacing: [1, 2], orientation: 'PL', normalise: halve });
  expect(Array.from(prepared.data)).toEqual([5, 1]);
  const unplaced = prepareImage(image, { spacing: [1, 2], orientation: 'PL', normalise: halve }, { isPlaced: false });
  expect(Array.from(unplaced.data)).toEqual([0, 2, 4, 6]);
  expect(prepareImage(image, { spacing: [1, 1.0005] })).toBe(image); // files round their numbers
});

describe('one bright cuboid in a tilted volume of other spacing', () => {
  const tilt = Math.PI / 12;
  const direction = [0, 0, -1, -Math.sin(tilt), -Math.cos(tilt), 0, Math.cos(tilt), -Math.sin(tilt), 0];
  const size = [20, 16, 6];
  const box = [4, 6, 1, 12, 12, 4];
  const data = new Float32Array(product(size));
  for (let x = 4; x < 12; x++) for (let y = 6; y < 12; y++) for (let z = 1; z < 4; z++) data[(x * 16 + y) * 6 + z] = 1;
  const image = volume({ dim: 3 as Dim, data, size, spacing: [1, 1, 2], origin: [40, -7, 3], direction });
  const preparation = { spacing: [1, 1, 1], orientation: 'SPL' };

  test('is found at the voxels that the image came with', async () => {
    const detector = new SpotDetector<Dim>(3, perAxis<Dim>(3, [24, 24, 24]));
    const predictor = createImagePredictor([detector], { preparation, segmentation: true });
    const { detections, segmentationLabels } = await predictor.predict(image);
    expect(orientationOf(image)).toBe('LAI');
    const [only] = rows(detections);
    expect(detections.labels).toHaveLength(1);
    // The detector takes voxels above a half: between two slices of 2 mm, interpolated to 1 mm, that is half a slice less or none.
    only!.box.forEach((edge, i) => {
      expect(Math.abs(edge - box[i]!)).toBeLessThanOrEqual(i % 3 === 2 ? 0.5 : 1e-4);
    });
    expect(segmentationLabels).toEqual(Uint8Array.from(data));
  });

  test('and by a 2D detector, slice by slice, with the distance of slices as it was', async () => {
    const detector = new SpotDetector<Dim>(2, perAxis<Dim>(2, [48, 48]));
    const predictor = createImagePredictor([detector], {
      preparation: { spacing: [0.5, 0.5], orientation: 'PL' },
    });
    const { detections } = await predictor.predict(image);
    expect(detections.dim).toBe(3);
    const [only] = rows(detections);
    only!.box.forEach((edge, i) => {
      expect(Math.abs(edge - box[i]!)).toBeLessThanOrEqual(0.26);
    });
  });
});

test('images for detectors of volumes, and volumes of too many channels, are refused', async () => {
  const solid = createImagePredictor([new SpotDetector<Dim>(3, perAxis<Dim>(3, [8, 8, 8]))]);
  const flat = volume({ dim: 2 as Dim, data: new Float32Array(4), size: [2, 2] });
  await expect(solid.predict(flat)).rejects.toMatchObject({ code: 'shape-mismatch' });
  const pair = volume({ dim: 3 as Dim, data: new Float32Array(16), size: [2, 2, 2], channels: 2 });
  await expect(solid.predict(pair)).rejects.toThrow('2 channels');
});
