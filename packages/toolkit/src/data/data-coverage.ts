import type { Dim } from '@mdt/core';
import { type AnchorGrid, anchorCoverage, type Detector } from '@mdt/detectors';
import type { DatasetStatistics } from './dataset-statistics.js';

/** Overlaps at which coverage is asked for. */
const ious = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9];

export interface DatasetCoverage {
  iou: number[];
  /** Share of the objects that an anchor overlaps by at least that. */
  covered: number[];
  meanBestIou: number;
}

/** How a detector's anchors cover the objects of a data set; undefined for a detector without anchors, or no objects. */
export function datasetCoverage<D extends Dim>(detector: Detector<D>, { rows }: DatasetStatistics): DatasetCoverage | undefined {
  const { anchors } = detector as { anchors?: AnchorGrid<D> };
  if (!anchors || rows.sides.length === 0) return undefined;
  const { dim } = detector;
  // Where objects lie does not matter: they are moved between the anchors.
  const boxes = Float32Array.from(rows.sides.flatMap((sides) => [...sides.map(() => 0), ...sides]));
  const targets = [{ dim, boxes, labels: new Int32Array(rows.sides.length) }];
  const found = ious.map((iou) => anchorCoverage(anchors, targets, { iou }));
  return { iou: ious, covered: found.map(({ covered, objects }) => covered / objects), meanBestIou: found[0]!.meanBestIou };
}
