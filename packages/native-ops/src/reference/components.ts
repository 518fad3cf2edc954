import type { Dim } from '@mdt/core';

export interface ComponentsTask {
  dim: Dim;
  values: ArrayLike<number>;
  size: ArrayLike<number>;
  /** Neighbours differ along at most so many axes, by 1 each. */
  reach: number;
  /** Neighbours belong together when their values are equal; else when both are not 0. */
  equal: boolean;
  scores: ArrayLike<number> | null;
}

/**
 * Labels `[...size]`, then of each component: box, cells, value of its first cell, sum and largest of its scores (empty without
 * scores).
 */
export type ComponentsResult = [Int32Array, Int32Array, Float64Array, Float64Array, Float64Array, Float64Array];

/** Connected components in plain TypeScript, by flooding: what csrc/cpu/components.h must give. */
export function componentsTwin({ dim, values, size, reach, equal, scores }: ComponentsTask): ComponentsResult {
  const labels = new Int32Array(values.length);
  const strides = Array.from(size, (_, d) => Array.from(size).reduce((a, b, e) => (e > d ? a * b : a), 1));
  const at = (cell: number, d: number) => Math.floor(cell / strides[d]!) % size[d]!;
  const steps = Array.from({ length: 3 ** dim }, (_, code) =>
    Array.from({ length: dim }, (_, d) => (Math.floor(code / 3 ** d) % 3) - 1),
  ).filter((step) => step.some((s) => s !== 0) && step.filter((s) => s !== 0).length <= reach);
  const boxes: number[] = [];
  const cells: number[] = [];
  const firsts: number[] = [];
  for (let start = 0; start < values.length; start++) {
    if (values[start] === 0 || labels[start] !== 0) continue;
    const label = cells.length + 1;
    const box = Array.from({ length: 2 * dim }, (_, i) => at(start, i % dim) + (i < dim ? 0 : 1));
    const front = [start];
    let count = 0;
    labels[start] = label;
    while (front.length > 0) {
      const cell = front.pop()!;
      count++;
      for (let d = 0; d < dim; d++) {
        box[d] = Math.min(box[d]!, at(cell, d));
        box[dim + d] = Math.max(box[dim + d]!, at(cell, d) + 1);
      }
      for (const step of steps) {
        if (step.some((s, d) => at(cell, d) + s < 0 || at(cell, d) + s >= size[d]!)) continue;
        const next = step.reduce((sum, s, d) => sum + s * strides[d]!, cell);
        if (labels[next] !== 0 || values[next] === 0 || (equal && values[next] !== values[cell])) continue;
        labels[next] = label;
        front.push(next);
      }
    }
    boxes.push(...box);
    cells.push(count);
    firsts.push(values[start]!);
  }
  const [sums, maxima] = scoresOf(labels, scores, size[dim - 1]!, cells.length);
  return [labels, Int32Array.from(boxes), Float64Array.from(cells), Float64Array.from(firsts), sums, maxima];
}

/** Sums are taken along each row's stretch of a component first, then over the stretches. */
function scoresOf(labels: Int32Array, scores: ArrayLike<number> | null, width: number, count: number) {
  if (!scores) return [new Float64Array(0), new Float64Array(0)] as const;
  const sums = new Float64Array(count);
  const maxima = new Float64Array(count).fill(Number.NEGATIVE_INFINITY);
  for (let cell = 0; cell < labels.length; ) {
    const label = labels[cell]!;
    let sum = 0;
    do {
      sum += scores[cell]!;
      if (label > 0 && scores[cell]! > maxima[label - 1]!) maxima[label - 1] = scores[cell]!;
      cell++;
    } while (cell % width !== 0 && labels[cell] === label);
    if (label > 0) sums[label - 1]! += sum;
  }
  return [sums, maxima] as const;
}
