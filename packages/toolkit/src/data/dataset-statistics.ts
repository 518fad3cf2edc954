/** Least, median and greatest per axis. */
export interface Spread {
  least: number[];
  median: number[];
  greatest: number[];
}

/** What statistics are made of: one case. */
export interface CaseFacts {
  /** Voxels, and millimetres per voxel, per axis. */
  size: number[];
  spacing: number[];
  /** Rows `[min…, max…]`, and their classes. */
  boxes: Float32Array;
  labels: Int32Array;
}

/** Objects of one class. */
export interface ClassStatistics {
  name: string;
  objects: number;
  /** Cases that show one. */
  cases: number;
  /** Sides of boxes, voxels. */
  sides: Spread;
}

export interface DatasetStatistics {
  /** Voxels and millimetres per axis over the cases. */
  sizes: Spread;
  spacings: Spread;
  classes: ClassStatistics[];
  /** One row per case and object, for plots and other statistics. */
  rows: { sizes: number[][]; spacings: number[][]; sides: number[][]; labels: number[] };
}

export function datasetStatistics(found: readonly CaseFacts[], classes: readonly string[], dim: number): DatasetStatistics {
  const sides: number[][] = [];
  const labels: number[] = [];
  for (const one of found) {
    one.labels.forEach((label, n) => {
      const at = n * 2 * dim;
      sides.push(Array.from({ length: dim }, (_, d) => one.boxes[at + dim + d]! - one.boxes[at + d]!));
      labels.push(label);
    });
  }
  const [sizes, spacings] = [found.map(({ size }) => size), found.map(({ spacing }) => spacing)];
  return {
    sizes: spread(sizes, dim),
    spacings: spread(spacings, dim),
    classes: classes.map((name, label) => {
      const own = sides.filter((_, i) => labels[i] === label);
      const cases = found.filter((one) => one.labels.includes(label)).length;
      return { name, objects: own.length, cases, sides: spread(own, dim) };
    }),
    rows: { sizes, spacings, sides, labels },
  };
}

/** Least, median and greatest along each axis; nothing of nothing. */
function spread(rows: readonly number[][], dim: number): Spread {
  if (rows.length === 0) return { least: [], median: [], greatest: [] };
  const columns = Array.from({ length: dim }, (_, d) => rows.map((row) => row[d]!).sort((a, b) => a - b));
  return {
    least: columns.map((column) => column[0]!),
    median: columns.map((column) => column[column.length >> 1]!),
    greatest: columns.map((column) => column.at(-1)!),
  };
}
