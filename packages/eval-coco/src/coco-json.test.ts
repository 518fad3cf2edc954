import { expect, test } from 'vitest';
import { cocoIouThresholds, evaluateDetections, fromCocoJson } from './index.js';

const images = [{ id: 9 }, { id: 4 }];
const categories = [
  { id: 7, name: 'cell' },
  { id: 2, name: 'nucleus' },
];
const annotation = { image_id: 4, category_id: 7, bbox: [1, 2, 10, 20], iscrowd: 0 };
const result = { image_id: 9, category_id: 2, bbox: [0, 0, 5, 5], score: 0.5 };

test('images and categories come in order of their ids, boxes in array order', () => {
  const { cases, classes, categoryIds } = fromCocoJson({ images, categories, annotations: [annotation] }, [result]);
  expect(classes).toEqual(['nucleus', 'cell']);
  expect(categoryIds).toEqual([2, 7]);
  expect(cases.map(({ id }) => id)).toEqual(['4', '9']);
  expect(cases[0]!.groundTruth.boxes).toEqual(Float64Array.of(2, 1, 22, 11)); // y1 x1 y2 x2
  expect(cases[0]!.groundTruth.labels).toEqual(Int32Array.of(1));
  expect(cases[0]!.groundTruth.areas).toEqual(Float64Array.of(200));
  expect(cases[1]!.detections).toMatchObject({ labels: Int32Array.of(0), scores: Float64Array.of(0.5) });
});

test('boxes of six numbers are volumes', () => {
  const bbox = [1, 2, 3, 10, 20, 30];
  const found = [{ ...result, image_id: 4, category_id: 7, bbox }];
  const { cases, classes } = fromCocoJson({ images, categories, annotations: [{ ...annotation, bbox }] }, found);
  expect(cases[0]!.groundTruth.boxes).toEqual(Float64Array.of(3, 2, 1, 33, 22, 11));
  expect(cases[0]!.groundTruth.areas).toEqual(Float64Array.of(6000));
  expect(evaluateDetections(cases, { classes, iouThresholds: cocoIouThresholds }).ap).toBe(1);
});

test('what does not fit together is refused with its place in the file', () => {
  const truth = { images, categories, annotations: [annotation] };
  const results = (change: object) => () => fromCocoJson(truth, [result, { ...result, ...change }]);
  expect(results({ image_id: 5 })).toThrow(/results\[1\]: image 5 is not among the 2 images/);
  expect(results({ category_id: 1 })).toThrow(/results\[1\]: category 1, expected one of 2, 7/);
  expect(results({ bbox: [1, 2, 3] })).toThrow(/results\[1\]: bbox has 3 numbers/);
  expect(results({ bbox: [1, 2, 3, 4, 5, 6] })).toThrow(/bbox has 6 numbers, expected 4/);
  expect(results({ score: '1' })).toThrow(/results\[1\].score is "1"/);
  expect(() => fromCocoJson(truth, { results: [] })).toThrow(/results: expected a list/);
  expect(() => fromCocoJson({ ...truth, images: [] }, [])).toThrow(/no images/);
  expect(() => fromCocoJson({ ...truth, images: [...images, { id: 9 }] }, [])).toThrow(/image 9 is listed twice/);
  expect(() => fromCocoJson({ ...truth, annotations: [{ ...annotation, image_id: 1 }] }, [])).toThrow(
    /annotations\[0\]: image 1/,
  );
});
