import type { Triple } from '../grid.js';

/** Positions of a row of output voxels in the input, per axis. */
export interface RowPositions {
  z: Float64Array;
  y: Float64Array;
  x: Float64Array;
}

/** A source image, lifted to three axes. */
export interface Source {
  data: Float32Array;
  size: Triple;
  channels: number;
}

/** What lies outside of the image: the nearest voxel, or one value everywhere. */
export type Border = 'nearest' | 'constant';

export interface RowOptions {
  border: Border;
  /** Used by border `constant`. */
  value: number;
}

export type RowSampler = (
  source: Source,
  positions: RowPositions,
  out: Float32Array,
  offset: number,
  options: RowOptions,
) => void;

/** Nearest voxel of a label map; 0 outside. */
export function sampleLabels(
  labelMap: Int32Array,
  [nz, ny, nx]: Triple,
  positions: RowPositions,
  out: Int32Array,
  offset: number,
): void {
  const { z: pz, y: py, x: px } = positions;
  for (let i = 0; i < px.length; i++) {
    const z = Math.floor(pz[i]! + 0.5);
    const y = Math.floor(py[i]! + 0.5);
    const x = Math.floor(px[i]! + 0.5);
    const inside = z >= 0 && z < nz && y >= 0 && y < ny && x >= 0 && x < nx;
    out[offset + i] = inside ? labelMap[(z * ny + y) * nx + x]! : 0;
  }
}

const clamp = (value: number, high: number): number => Math.max(0, Math.min(value, high));

/** Order 0: the nearest voxel. */
const sampleNearest: RowSampler = (
  { data, size: [nz, ny, nx], channels },
  { z: pz, y: py, x: px },
  out,
  offset,
  { border, value },
) => {
  for (let i = 0; i < px.length; i++) {
    const z = Math.floor(pz[i]! + 0.5);
    const y = Math.floor(py[i]! + 0.5);
    const x = Math.floor(px[i]! + 0.5);
    const outside = z < 0 || z >= nz || y < 0 || y >= ny || x < 0 || x >= nx;
    const to = (offset + i) * channels;
    if (outside && border === 'constant') {
      out.fill(value, to, to + channels);
      continue;
    }
    const from = ((clamp(z, nz - 1) * ny + clamp(y, ny - 1)) * nx + clamp(x, nx - 1)) * channels;
    for (let c = 0; c < channels; c++) out[to + c] = data[from + c]!;
  }
};

/** Order 1: linear along each axis. Beside the image, border `constant` fades from the outermost voxel to the value. */
const sampleLinear: RowSampler = (source, positions, out, offset, options) => {
  const { data, size, channels } = source;
  const [nz, ny, nx] = size;
  const { z: pz, y: py, x: px } = positions;
  const strideY = nx * channels;
  const strideZ = ny * strideY;
  for (let i = 0; i < px.length; i++) {
    let z = pz[i]!;
    let y = py[i]!;
    let x = px[i]!;
    const to = (offset + i) * channels;
    if (!(z >= 0 && z <= nz - 1 && y >= 0 && y <= ny - 1 && x >= 0 && x <= nx - 1)) {
      if (options.border === 'constant') {
        sampleTaps(source, z, y, x, linearWeights, out, to, options);
        continue;
      }
      z = clamp(z, nz - 1);
      y = clamp(y, ny - 1);
      x = clamp(x, nx - 1);
    }
    const z0 = Math.floor(z);
    const y0 = Math.floor(y);
    const x0 = Math.floor(x);
    const fz = z - z0;
    const fy = y - y0;
    const fx = x - x0;
    const stepY = y0 < ny - 1 ? strideY : 0;
    const stepX = x0 < nx - 1 ? channels : 0;
    const a = z0 * strideZ + y0 * strideY + x0 * channels;
    const w00 = (1 - fy) * (1 - fx);
    const w01 = (1 - fy) * fx;
    const w10 = fy * (1 - fx);
    const w11 = fy * fx;
    for (let c = 0; c < channels; c++) {
      const p = a + c;
      let sum = w00 * data[p]! + w01 * data[p + stepX]! + w10 * data[p + stepY]! + w11 * data[p + stepY + stepX]!;
      if (fz > 0) {
        const q = p + strideZ;
        const next = w00 * data[q]! + w01 * data[q + stepX]! + w10 * data[q + stepY]! + w11 * data[q + stepY + stepX]!;
        sum += fz * (next - sum);
      }
      out[to + c] = sum;
    }
  }
};

/** Order 3: cubic convolution along each axis, through the voxels' values (Keys 1981, a = −1/2). */
const sampleCubic: RowSampler = (source, { z, y, x }, out, offset, options) => {
  const { channels } = source;
  for (let i = 0; i < x.length; i++) sampleTaps(source, z[i]!, y[i]!, x[i]!, cubicWeights, out, (offset + i) * channels, options);
};

export const rowSamplers: Readonly<Record<0 | 1 | 3, RowSampler>> = { 0: sampleNearest, 1: sampleLinear, 3: sampleCubic };

/** Weights of the voxels at −1, 0, 1 and 2 for a position `f` in [0, 1) behind voxel 0. */
type Weights = (f: number, out: Float64Array) => void;

const linearWeights: Weights = (f, out) => {
  out[0] = 0;
  out[1] = 1 - f;
  out[2] = f;
  out[3] = 0;
};

const cubicWeights: Weights = (f, out) => {
  out[0] = ((-0.5 * f + 1) * f - 0.5) * f;
  out[1] = (1.5 * f - 2.5) * f * f + 1;
  out[2] = ((-1.5 * f + 2) * f + 0.5) * f;
  out[3] = (0.5 * f - 0.5) * f * f;
};

const wz = new Float64Array(4);
const wy = new Float64Array(4);
const wx = new Float64Array(4);

/** Weighted sum over up to 4³ voxels around a position that may lie outside. */
function sampleTaps(
  { data, size: [nz, ny, nx], channels }: Source,
  z: number,
  y: number,
  x: number,
  weights: Weights,
  out: Float32Array,
  to: number,
  { border, value }: RowOptions,
): void {
  const z0 = Math.floor(z);
  const y0 = Math.floor(y);
  const x0 = Math.floor(x);
  weights(z - z0, wz);
  weights(y - y0, wy);
  weights(x - x0, wx);
  for (let c = 0; c < channels; c++) {
    let sum = 0;
    for (let k = 0; k < 4; k++) {
      if (wz[k] === 0) continue;
      const zk = clamp(z0 + k - 1, nz - 1);
      const outsideZ = zk !== z0 + k - 1;
      for (let j = 0; j < 4; j++) {
        if (wy[j] === 0) continue;
        const yj = clamp(y0 + j - 1, ny - 1);
        const outsideY = outsideZ || yj !== y0 + j - 1;
        for (let i = 0; i < 4; i++) {
          if (wx[i] === 0) continue;
          const xi = clamp(x0 + i - 1, nx - 1);
          const outside = outsideY || xi !== x0 + i - 1;
          const voxel = outside && border === 'constant' ? value : data[((zk * ny + yj) * nx + xi) * channels + c]!;
          sum += wz[k]! * wy[j]! * wx[i]! * voxel;
        }
      }
    }
    out[to + c] = sum;
  }
}
