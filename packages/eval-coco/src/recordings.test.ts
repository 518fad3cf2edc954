import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { coco } from '../../../checks/parity/coco.js';
import { evaluation } from '../../../checks/parity/evaluation.js';
import { cocoOptions, evaluateDetections, formatCocoSummary, fromCocoJson } from './index.js';

const recording = (name: string) => new URL(`../../../reference/${name}`, import.meta.url).pathname;

test.each([
  ['coco_bbox.json', coco, 23],
  ['evaluation_2d.json', evaluation, 30],
  ['evaluation_3d.json', evaluation, 30],
] as const)('every quantity of %s agrees with ours', async (name, parity, count) => {
  expect(parity.handles(name)).toBe(true);
  const comparisons = [];
  for await (const comparison of parity.compare(recording(name))) comparisons.push(comparison);
  expect(comparisons.filter(({ passed }) => !passed)).toEqual([]);
  expect(comparisons).toHaveLength(count);
});
test('the summary has the lines that pycocotools prints', () => {
  const recorded = JSON.parse(readFileSync(recording('coco_bbox.json'), 'utf8'));
  const { cases, classes } = fromCocoJson({ images: recorded.images, annotations: recorded.annotations }, recorded.detections);
  const lines = formatCocoSummary(evaluateDetections(cases, { classes, ...cocoOptions })).split('\n');
  expect(lines).toHaveLength(12);
  expect(lines[0]).toBe(' Average Precision  (AP) @[ IoU=0.50:0.95 | area=   all | maxDets=100 ] = 0.169');
  expect(lines[1]).toBe(' Average Precision  (AP) @[ IoU=0.50      | area=   all | maxDets=100 ] = 0.488');
  expect(lines[6]).toBe(' Average Recall     (AR) @[ IoU=0.50:0.95 | area=   all | maxDets=  1 ] = 0.179');
  expect(lines[11]).toBe(' Average Recall     (AR) @[ IoU=0.50:0.95 | area= large | maxDets=100 ] = 0.000');
});
