import { expect, test } from 'vitest';
import type { ExportedCase } from './export.js';
import { boxesAsLabelMap, nnDetectionCase, slicerMarkups } from './export-formats.js';

const scan: ExportedCase<3> = {
  id: 'scan',
  detections: {
    dim: 3,
    boxes: Float32Array.of(1, 2, 3, 3, 4, 6, /**/ 0, 2, 3, 2, 4, 5),
    scores: Float32Array.of(0.9, 0.4),
    labels: Int32Array.of(1, 0),
  },
  geometry: { dim: 3, size: [4, 5, 7], spacing: [2, 1, 0.5], origin: [10, 20, 30] },
};
const classes = ['benign', 'malignant'];

test('a label map has the voxels of each box, better boxes on top, and lies where the image lies', () => {
  const map = boxesAsLabelMap(scan);
  const at = (z: number, y: number, x: number) => map.data[(z * 5 + y) * 7 + x];
  expect([at(0, 2, 3), at(1, 2, 3), at(2, 3, 5), at(3, 3, 5), at(0, 2, 5)]).toEqual([2, 1, 1, 0, 0]);
  expect(map.data.filter((v) => v === 1)).toHaveLength(2 * 2 * 3);
  expect(map.data.filter((v) => v === 2)).toHaveLength(1 * 2 * 2);
  expect(map).toMatchObject({ spacing: [2, 1, 0.5], origin: [10, 20, 30] });
});

test("Slicer's regions have centre and size in millimetres, x y z", () => {
  const { markups } = slicerMarkups(scan, { classes }) as { markups: Record<string, unknown>[] };
  // Voxel edges z 1…3, y 2…4, x 3…6: centres of voxels are whole, so the middle is at 1.5, 2.5, 4.
  expect(markups[0]).toMatchObject({
    type: 'ROI',
    coordinateSystem: 'LPS',
    center: [30 + 4 * 0.5, 20 + 2.5, 10 + 1.5 * 2],
    size: [1.5, 2, 4],
    orientation: [1, 0, 0, 0, 1, 0, 0, 0, 1],
    name: 'malignant 0.900',
  });
  expect(markups).toHaveLength(2);
});

test('a turned image turns the regions, and an image in 2D is one voxel thick', () => {
  const turned = { ...scan, geometry: { ...scan.geometry, direction: [1, 0, 0, 0, 0, 1, 0, 1, 0] } }; // y and x exchanged
  const { markups } = slicerMarkups(turned, { classes }) as { markups: { orientation: number[] }[] };
  expect(markups[0]!.orientation).toEqual([0, 1, 0, 1, 0, 0, 0, 0, 1]);
  const flat: ExportedCase<2> = {
    id: 'flat',
    detections: { dim: 2, boxes: Float32Array.of(0, 1, 2, 5), scores: Float32Array.of(1), labels: Int32Array.of(0) },
    geometry: { dim: 2, size: [4, 8], spacing: [1, 1], origin: [0, 0] },
  };
  const two = slicerMarkups(flat, { classes }) as { markups: Record<string, unknown>[] };
  expect(two.markups[0]).toMatchObject({ center: [2.5, 0.5, 0], size: [4, 2, 1] });
});

test("nnDetection's rows go min0 min1 max0 max1 min2 max2", () => {
  expect(nnDetectionCase(scan)).toMatchObject({
    pred_boxes: [
      [1, 2, 3, 4, 3, 6],
      [0, 2, 2, 4, 3, 5],
    ],
    pred_labels: [1, 0],
    original_size_of_raw_data: [4, 5, 7],
    itk_spacing: [0.5, 1, 2],
  });
});
