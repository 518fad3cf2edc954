import { describe, expect, test } from 'vitest';
import {
  axisIndex,
  concatDetections,
  type Detections,
  emptyDetections,
  perAxis,
  rows,
  selectDetections,
  volume,
} from './index.js';

const two: Detections<2> = {
  dim: 2,
  boxes: Float32Array.of(0, 1, 2, 3, 4, 5, 6, 7),
  scores: Float32Array.of(0.5, 0.25),
  labels: Int32Array.of(1, 0),
};

describe('detections', () => {
  test('have a view by rows', () => {
    expect(rows(two)).toEqual([
      { box: [0, 1, 2, 3], score: 0.5, label: 1 },
      { box: [4, 5, 6, 7], score: 0.25, label: 0 },
    ]);
    expect(rows(emptyDetections(3))).toEqual([]);
  });

  test('are selected in the order of the indices', () => {
    expect(rows(selectDetections(two, [1, 0, 1])).map(({ label }) => label)).toEqual([0, 1, 0]);
    expect(() => selectDetections(two, [2])).toThrow('index 2 of 2 detections');
  });

  test('are joined in the order of the list', () => {
    expect(rows(concatDetections(2, [two, emptyDetections(2), two]))).toEqual([...rows(two), ...rows(two)]);
    expect(() => concatDetections(3, [two as never])).toThrow('got detections of dim 2, expected 3');
  });

  test('keep double precision', () => {
    const precise = { ...two, boxes: Float64Array.from(two.boxes, (v) => v + 0.1) };
    expect(selectDetections(precise, [0]).boxes).toEqual(Float64Array.of(0.1, 1.1, 2.1, 3.1));
    expect(concatDetections(2, [two, precise]).boxes).toBeInstanceOf(Float64Array);
    expect(concatDetections(2, [two, precise]).scores).toBeInstanceOf(Float32Array);
  });

  test('whose arrays disagree are refused', () => {
    expect(() => rows({ ...two, scores: new Float32Array(3) })).toThrow('scores has 3 values, expected 2 (one per box)');
    expect(() => rows({ ...two, labels: new Int32Array(1) })).toThrow('labels has 1 values, expected 2 (one per box)');
    expect(() => rows({ ...two, boxes: new Float32Array(7) })).toThrow('boxes has 7 values');
  });
});

test('a volume checks that its data fill it, and has unit spacing unless told', () => {
  const scan = volume({ dim: 3, data: new Int16Array(24), size: [2, 3, 2], channels: 2 });
  expect(scan).toMatchObject({ size: [2, 3, 2], spacing: [1, 1, 1], origin: [0, 0, 0] });
  expect(() => volume({ dim: 2, data: new Uint8Array(5), size: [2, 3] })).toThrow(
    'data has 5 values, expected 6 (size 2x3, 1 channels)',
  );
  expect(() => volume({ dim: 2, data: new Uint8Array(6), size: [1, 2, 3] })).toThrow(
    'volume: size: expected 2 values (y, x), got 3',
  );
});

test('axes have names in array order', () => {
  expect([axisIndex(2, 'y'), axisIndex(3, 'y'), axisIndex(3, 'x')]).toEqual([0, 1, 2]);
  expect(() => axisIndex(2, 'z')).toThrow('expected one of y, x (dim 2), got z');
  expect(perAxis(3, 4)).toEqual([4, 4, 4]);
});
