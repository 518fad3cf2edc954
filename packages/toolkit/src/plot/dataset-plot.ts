import { axisNames, type Dim } from '@mdt/core';
import type { DatasetStatistics } from '../data/dataset-statistics.js';
import type { ChartOptions, Series } from './chart.js';
import { plotCharts } from './curves.js';

/** Share of the objects that an anchor overlaps at least so much, over the overlap. */
export interface CoverageCurve {
  iou: readonly number[];
  covered: readonly number[];
}

/**
 * The statistics of a data set as an SVG document: how many of its cases have at most so many voxels and millimetres per voxel along
 * each axis, how many objects of each class have sides of at most so many voxels, and, where it is given, how anchors cover them.
 */
export function plotDataset(
  name: string,
  dim: Dim,
  { rows, classes }: DatasetStatistics,
  { coverage }: { coverage?: CoverageCurve } = {},
): string {
  const axes = axisNames[dim];
  const perAxis = (values: readonly (readonly number[])[], label = ''): Series[] =>
    axes.map((axis, d) => ({ name: `${label}${axis}`, ...shares(values.map((row) => row[d]!)), dots: false }));
  const panel = (title: string, xLabel: string, series: Series[]): ChartOptions => ({
    ...{ title, xLabel, yLabel: 'share', yRange: [0, 1] as const, series },
  });
  const panels = [
    panel(`${name}: sizes of ${rows.sizes.length} cases`, 'voxels, at most', perAxis(rows.sizes)),
    panel('Spacings', 'millimetres per voxel, at most', perAxis(rows.spacings)),
    ...classes.map((one, label) =>
      panel(
        `${one.name}: ${one.objects} objects in ${one.cases} cases`,
        'side of the box in voxels, at most',
        perAxis(rows.sides.filter((_, i) => rows.labels[i] === label)),
      ),
    ),
    ...(coverage
      ? [panel('Objects that an anchor overlaps', 'IoU, at least', [{ name: '', x: coverage.iou, y: coverage.covered }])]
      : []),
  ];
  return plotCharts(panels);
}

/** Share of the values that are at most each of them: a staircase that rises to 1. */
function shares(values: readonly number[]): { x: number[]; y: number[] } {
  const sorted = [...values].sort((a, b) => a - b);
  const x: number[] = [];
  const y: number[] = [];
  sorted.forEach((value, i) => {
    x.push(value, value);
    y.push(i / sorted.length, (i + 1) / sorted.length);
  });
  return { x, y };
}
