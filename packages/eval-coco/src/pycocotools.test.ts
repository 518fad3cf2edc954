import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import {
  cocoOptions,
  cocoSummary,
  combineMasks,
  countsFromString,
  countsToString,
  decodeMask,
  evaluateDetections,
  fromCocoJson,
  maskArea,
  maskBox,
  maskIou,
  polygonsToRle,
  toCocoResults,
} from './index.js';

const load = (name: string) => JSON.parse(readFileSync(new URL(`../../../reference/coco/${name}`, import.meta.url), 'utf8'));

interface Recorded {
  stats: number[];
  categoryIds: number[];
  ap: number[];
  ap50: number[];
  recall: number[];
  lowThresholds: number[];
  lowAp: number[][];
}
const recorded = load('pycocotools.json') as {
  bbox: Recorded;
  segm: Recorded;
  polygons: { size: [number, number]; polygon: number[]; counts: string; area: number; bbox: number[] }[];
  overlaps: {
    size: [number, number];
    detections: string[];
    objects: string[];
    crowd: number[];
    iou: number[][];
    union: string;
    intersection: string;
    first: string;
  }[];
};

describe.each(['bbox', 'segm'] as const)('the public val2014 case fake%s100', (kind) => {
  const { stats, categoryIds, ap, ap50, recall, lowThresholds, lowAp } = recorded[kind];
  const masks = kind === 'segm';
  const truth = load('instances_val2014_100.json');
  const read = fromCocoJson(truth, load(`instances_val2014_fake${kind}100_results.json`), { masks });
  const shape = masks ? 'masks' : 'boxes';
  const close = (actual: number | null, expected: number) => expect(Math.abs((actual ?? -1) - expected)).toBeLessThan(1e-9);

  test('gives the twelve numbers of pycocotools to 1e-9, and per class', () => {
    const metrics = evaluateDetections(read.cases, { classes: read.classes, shape, ...cocoOptions });
    const summary = cocoSummary(metrics);
    for (const [i, expected] of stats.entries()) close(summary[i]!, expected);
    expect(read.categoryIds).toEqual(categoryIds);
    for (const [k, name] of read.classes.entries()) {
      close(metrics.perClass[name]!.ap, ap[k]!);
      close(metrics.perClass[name]!.apAt(0.5), ap50[k]!);
      close(metrics.perClass[name]!.ar, recall[k]!);
    }
  });

  test('at other thresholds too', () => {
    const metrics = evaluateDetections(read.cases, {
      classes: read.classes,
      shape,
      iouThresholds: lowThresholds,
      maxDetections: 100,
    });
    for (const [t, threshold] of lowThresholds.entries()) {
      for (const [k, name] of read.classes.entries()) close(metrics.perClass[name]!.apAt(threshold), lowAp[t]![k]!);
    }
  });

  test('is the same after its results were written and read again', () => {
    const again = fromCocoJson(truth, JSON.parse(JSON.stringify(toCocoResults(read.cases, read))), { masks });
    const metrics = evaluateDetections(again.cases, { classes: again.classes, shape, ...cocoOptions });
    for (const [i, value] of cocoSummary(metrics).entries()) close(value, stats[i]!);
  });
});

test('outlines are drawn pixel for pixel as pycocotools draws them', () => {
  for (const { size, polygon, counts, area, bbox } of recorded.polygons) {
    const rle = polygonsToRle([polygon], size);
    expect(countsToString(rle.counts)).toBe(counts);
    expect(countsFromString(counts)).toEqual(rle.counts);
    expect(maskArea(rle)).toBe(area);
    const [x, y, w, h] = bbox as [number, number, number, number];
    expect(maskBox(rle)).toEqual([y, x, y + h, x + w]);
  }
});

test('overlaps with objects and crowds, unions and intersections agree with pycocotools', () => {
  for (const { size, detections, objects, crowd, iou, union, intersection, first } of recorded.overlaps) {
    const rle = (text: string) => ({ size, counts: countsFromString(text) });
    for (const [i, a] of detections.entries()) {
      for (const [j, b] of objects.entries()) {
        expect(maskIou(rle(a), rle(b), { crowd: crowd[j] === 1 })).toBeCloseTo(iou[i]![j]!, 12);
      }
    }
    expect(countsToString(combineMasks(detections.map(rle), 'union').counts)).toBe(union);
    expect(countsToString(combineMasks(detections.map(rle), 'intersection').counts)).toBe(intersection);
    expect([...decodeMask(rle(detections[0]!))].join('')).toBe(first);
  }
});
