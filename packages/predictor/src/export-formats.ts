import { type Dim, type PerAxis, pointsToPhysical, product, rows, type Volume, volume } from '@mdt/core';
import type { ExportedCase } from './export.js';

/**
 * Boxes as a label map in the frame of their image: voxels of the worst box first, so that better ones lie on top; value 1 + index of the
 * detection. For `encodeNifti`.
 *
 * @throws RangeError above 65534 detections
 */
export function boxesAsLabelMap<D extends Dim>({ detections, geometry }: ExportedCase<D>): Volume<D, Uint16Array> {
  const { dim, boxes, scores } = detections;
  if (scores.length > 65534) throw new RangeError(`boxesAsLabelMap: ${scores.length} detections, expected at most 65534`);
  const size = Array.from(geometry.size as PerAxis);
  const data = new Uint16Array(product(size));
  const order = Array.from(scores.keys()).sort((i, j) => scores[i]! - scores[j]! || j - i);
  for (const i of order) {
    const from = size.map((n, d) => Math.min(n, Math.max(0, Math.round(boxes[2 * i * dim + d]!))));
    const to = size.map((n, d) => Math.min(n, Math.max(0, Math.round(boxes[(2 * i + 1) * dim + d]!))));
    const paint = (d: number, at: number): void => {
      if (d === dim - 1) data.fill(i + 1, at * size[d]! + from[d]!, at * size[d]! + Math.max(from[d]!, to[d]!));
      else for (let v = from[d]!; v < to[d]!; v++) paint(d + 1, at * size[d]! + v);
    };
    paint(0, 0);
  }
  return volume({ ...geometry, dim: geometry.dim, data }) as Volume<D, Uint16Array>;
}

/**
 * Boxes as regions of interest for 3D Slicer (a `.mrk.json` file each case): centre and size in millimetres, LPS, x y z, turned as the
 * image is; the name has class and score. Boxes of images in 2D are one voxel thick.
 */
export function slicerMarkups({ detections, geometry }: ExportedCase, { classes }: { classes: readonly string[] }): unknown {
  const { dim, spacing, direction } = geometry;
  const cosine = (row: number, column: number) => direction?.[row * dim + column] ?? (row === column ? 1 : 0);
  // Ours are in array order (z y x), Slicer's in x y z.
  const orientation = [0, 1, 2].flatMap((row) =>
    [0, 1, 2].map((column) => {
      if (dim === 2 && (row === 2 || column === 2)) return row === column ? 1 : 0;
      return cosine(dim - 1 - row, dim - 1 - column);
    }),
  );
  const markups = rows(detections).map(({ box, score, label }, i) => {
    const centre = Array.from({ length: dim }, (_, d) => (box[d]! + box[dim + d]!) / 2 - 0.5);
    const size = Array.from({ length: dim }, (_, d) => (box[dim + d]! - box[d]!) * spacing[d]!);
    const xyz = (values: number[], third: number) => (dim === 3 ? values : [third, ...values]).reverse();
    const name = `${classes[label] ?? label} ${score.toFixed(3)}`;
    return {
      type: 'ROI',
      coordinateSystem: 'LPS',
      roiType: 'Box',
      center: xyz(Array.from(pointsToPhysical(centre, geometry)), 0),
      orientation,
      size: xyz(size, 1),
      locked: false,
      labelFormat: '%N-%d',
      controlPoints: [],
      display: { visibility: true, opacity: 1, propertiesLabelVisibility: i < 20 },
      name,
    };
  });
  return {
    '@schema':
      'https://raw.githubusercontent.com/slicer/slicer/master/Modules/Loadable/Markups/Resources/Schema/markups-schema-v1.0.3.json#',
    markups,
  };
}

/**
 * Boxes as nnDetection stores them per case, as JSON: rows `[min0, min1, max0, max1, min2, max2]` of the array axes 0, 1 (and 2), voxels of
 * the original image, with scores and labels from 0.
 */
export function nnDetectionCase({ detections, geometry }: ExportedCase): unknown {
  const { dim } = detections;
  const order = dim === 3 ? [0, 1, 3, 4, 2, 5] : [0, 1, 2, 3];
  const list = rows(detections);
  return {
    pred_boxes: list.map(({ box }) => order.map((k) => box[k]!)),
    pred_scores: list.map(({ score }) => score),
    pred_labels: list.map(({ label }) => label),
    restore: true,
    original_size_of_raw_data: [...geometry.size],
    itk_origin: [...geometry.origin].reverse(),
    itk_spacing: [...geometry.spacing].reverse(),
  };
}
