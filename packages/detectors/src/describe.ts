import type { Dim } from '@mdt/core';
import type { AnchorGrid } from '@mdt/decode';
import { anchorCoverage } from './anchor-coverage.js';
import type { DescribeOptions } from './detector.js';
import type { Matcher } from './matcher.js';

const defaultIou = 0.5; // what is called a match where the matcher has no threshold of its own

/** Anchors per level, and how well they fit the objects of a data set. */
export function describeAnchors<D extends Dim>(
  grid: AnchorGrid<D>,
  { minIou = defaultIou }: Matcher,
  { targets }: DescribeOptions<D>,
): string[] {
  const perLevel = grid.levels.map(({ name, cells, length }) => `${name} ${cells.join('x')}: ${length}`);
  const lines = [`anchors ${grid.length}, ${grid.anchorsPerCell} per cell (${perLevel.join(', ')})`];
  if (!targets) return lines;
  const { objects, covered, meanBestIou } = anchorCoverage(grid, targets, { iou: minIou });
  if (objects === 0) return [...lines, 'objects 0'];
  const share = ((100 * covered) / objects).toFixed(1);
  lines.push(
    `objects ${objects}, ${share} % covered by an anchor at IoU ${minIou} (mean of the best IoU ${meanBestIou.toFixed(2)})`,
  );
  return lines;
}
