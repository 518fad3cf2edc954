import type { Dim } from '@mdt/core';

/** One axis of one box on one map; see csrc/roi_align.h, which does the same arithmetic. */
interface RoiAxis {
  start: number;
  bin: number;
  samples: number;
  cells: number;
  clamps: boolean;
}

export interface RoiSampling {
  single: boolean;
  /** Samples per axis and bin; 0: as many as a bin has cells, rounded up. */
  ratio: number;
  aligned: boolean;
}

export interface RoiTask extends RoiSampling {
  dim: Dim;
  boxes: ArrayLike<number>;
  images: Int32Array | null;
  levels: Int32Array | null;
  batch: number;
  channels: number;
  pool: ArrayLike<number>;
  /** Cells per axis and cells per unit of the boxes, of each map. */
  maps: readonly { size: ArrayLike<number>; scale: ArrayLike<number> }[];
}

function roiAxis(low: number, high: number, scale: number, cells: number, bins: number, sampling: RoiSampling): RoiAxis {
  const { single: clamps, ratio, aligned } = sampling;
  let start: number;
  let size = (high - low) * scale;
  let samples = 1;
  if (clamps) {
    start = low * scale - (bins > 1 ? 0.5 : 0);
  } else {
    start = low * scale - (aligned ? 0.5 : 0);
    if (!aligned && !(size > 1)) size = 1;
    samples = ratio > 0 ? ratio : Math.ceil(size / bins);
  }
  const bin = size / bins;
  const reads = Number.isFinite(start + bin * bins) && Number.isFinite(start) && samples > 0;
  return { start, bin, samples: reads ? samples : 0, cells, clamps };
}

/** The cells that one bin reads along one axis, each with its share of the mean; cells may come twice. */
function binCells(axis: RoiAxis, bin: number): { cell: number; weight: number }[] {
  const { start, samples, cells, clamps } = axis;
  const step = axis.bin / samples;
  let first = 0;
  let count = samples;
  if (samples > 1024) {
    // Only samples near the map are looked at: a huge box has more than can be counted through.
    const from = start + bin * axis.bin;
    first = Math.max(0, Math.floor((-1 - from) / step) - 2);
    count = Math.min(samples, Math.ceil((cells - from) / step) + 2) - first;
    count = Math.min(count, 2 * cells + 16);
  }
  const entries: { cell: number; weight: number }[] = [];
  for (let k = 0; k < count; k++) {
    let t = start + bin * axis.bin + (first + k + 0.5) * step;
    if (!clamps && !(t >= -1 && t <= cells)) continue;
    if (!(t < cells - 1)) t = cells - 1;
    if (!(t > 0)) t = 0;
    const low = Math.floor(t);
    const share = t - low;
    if (share < 1) entries.push({ cell: low, weight: (1 - share) / samples });
    if (share > 0) entries.push({ cell: low + 1, weight: share / samples });
  }
  return entries;
}

/**
 * Calls `visit` for every cell that every bin of every box reads: the bin's and the cell's first channel, and the weight. Boxes
 * whose image or level does not exist, or that are not finite, read nothing.
 */
export function eachTap(task: RoiTask, visit: (level: number, bin: number, cell: number, weight: number) => void): void {
  const { dim, boxes, images, levels, batch, channels, pool, maps } = task;
  const bins = Array.from(pool).reduce((a, b) => a * b, 1);
  for (let i = 0; i < boxes.length / (2 * dim); i++) {
    const image = images?.[i] ?? 0;
    const level = levels?.[i] ?? 0;
    const map = maps[level];
    if (!map || image < 0 || image >= batch) continue;
    const cells = Array.from({ length: dim }, (_, d) => {
      const low = boxes[i * 2 * dim + d]!;
      const high = boxes[i * 2 * dim + dim + d]!;
      const axis = roiAxis(low, high, map.scale[d]!, map.size[d]!, pool[d]!, task);
      return Array.from({ length: pool[d]! }, (_, bin) => binCells(axis, bin));
    });
    const descend = (d: number, bin: number, cell: number, weight: number): void => {
      if (d === dim) {
        visit(level, (i * bins + bin) * channels, cell * channels, weight);
        return;
      }
      cells[d]!.forEach((entries, b) => {
        for (const entry of entries) {
          descend(d + 1, bin * pool[d]! + b, cell * map.size[d]! + entry.cell, weight * entry.weight);
        }
      });
    };
    descend(0, 0, image, 1);
  }
}

/** RoIAlign in plain TypeScript: what csrc/cpu/roi_align.h must give, up to rounding. `[boxes, ...pool, channels]`. */
export function roiAlignTwin(task: RoiTask, values: readonly Float32Array[]): Float32Array {
  const { dim, boxes, channels, pool } = task;
  const count = boxes.length / (2 * dim);
  const out = new Float64Array(Array.from(pool).reduce((a, b) => a * b, count * channels));
  eachTap(task, (level, bin, cell, weight) => {
    const map = values[level]!;
    for (let c = 0; c < channels; c++) out[bin + c]! += weight * map[cell + c]!;
  });
  return Float32Array.from(out);
}

/** The gradient of `roiAlignTwin` with respect to the maps, `[batch, ...size, channels]` each. */
export function roiAlignGradTwin(task: RoiTask, dy: Float32Array): Float32Array[] {
  const { batch, channels, maps } = task;
  const sums = maps.map(({ size }) => new Float64Array(Array.from(size).reduce((a, b) => a * b, batch * channels)));
  eachTap(task, (level, bin, cell, weight) => {
    const sum = sums[level]!;
    for (let c = 0; c < channels; c++) sum[cell + c]! += weight * dy[bin + c]!;
  });
  return sums.map((sum) => Float32Array.from(sum));
}
