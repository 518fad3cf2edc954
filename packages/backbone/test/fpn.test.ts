import '@tensorflow/tfjs-backend-cpu';
import { readFileSync } from 'node:fs';
import { type Dim, product } from '@mdt/core';
import * as tf from '@tensorflow/tfjs-core';
import { describe, expect, test } from 'vitest';
import { type Backbone, type NormKind, resNetFpn } from '../src/index.js';

interface Summary {
  shape: number[];
  mean: number;
  l2: number;
  first: number[];
  mid: number[];
  last: number[];
}

// Made by the Python toolkit's own FPN (start_filts 2, end_filts 4, resnet50) with the weights and input written out below.
const golden = JSON.parse(readFileSync(new URL('golden-fpn.json', import.meta.url), 'utf8')) as Record<
  string,
  { input: number[]; levels: Summary[] }
>;

/** Cells of `[z, y, x]` in the order of `(y, x, z)`: for each of theirs, ours. */
function cellsInTheirOrder(size: readonly number[]): number[] {
  if (size.length === 2) return Array.from({ length: product(size) }, (_, i) => i);
  const [nz, ny, nx] = size as [number, number, number];
  return Array.from(
    { length: nz * ny * nx },
    (_, i) => ((i % nz) * ny + Math.floor(i / (nz * nx))) * nx + (Math.floor(i / nz) % nx),
  );
}

/** Weights sin(0.7 j + 0.3)/√fan over the flat PyTorch tensor (out, in, y, x, z), biases 0.01 cos(k). */
function fill({ variables }: Backbone): void {
  for (const { name, shape, variable } of variables) {
    if (!/\.(weight|bias)$/.test(name)) continue; // normalisations keep their start
    const values = Float32Array.from({ length: product(shape) }, (_, k) => 0.01 * Math.cos(k));
    if (shape.length > 1) {
      const [inner, out] = shape.slice(-2) as [number, number];
      const cells = cellsInTheirOrder(shape.slice(0, -2));
      cells.forEach((ours, theirs) => {
        for (let i = 0; i < inner; i++) {
          for (let o = 0; o < out; o++) {
            const j = (o * inner + i) * cells.length + theirs;
            values[(ours * inner + i) * out + o] = Math.sin(0.7 * j + 0.3) / Math.sqrt(inner * cells.length);
          }
        }
      });
    }
    variable.assign(tf.tensor(values, [...shape]));
  }
}

/** sin(0.013 i) over the flat (b, c, y, x, z) tensor, as `[b, z, y, x, c]`. */
function input([batch, channels, ...theirSize]: number[]): tf.Tensor {
  const size = theirSize.length === 3 ? [theirSize[2]!, theirSize[0]!, theirSize[1]!] : theirSize;
  const cells = cellsInTheirOrder(size);
  const values = new Float32Array(batch! * channels! * cells.length);
  cells.forEach((ours, theirs) => {
    for (let b = 0; b < batch!; b++) {
      for (let c = 0; c < channels!; c++) {
        values[(b * cells.length + ours) * channels! + c] = Math.sin(0.013 * ((b * channels! + c) * cells.length + theirs));
      }
    }
  });
  return tf.tensor(values, [batch!, ...size, channels!]);
}

function summarise(map: tf.Tensor): Summary {
  const [batch, channels] = [map.shape[0]!, map.shape.at(-1)!];
  const size = map.shape.slice(1, -1);
  const cells = cellsInTheirOrder(size);
  const data = map.dataSync();
  const flat: number[] = [];
  for (let b = 0; b < batch; b++) {
    for (let c = 0; c < channels; c++) for (const cell of cells) flat.push(data[(b * cells.length + cell) * channels + c]!);
  }
  const middle = Math.floor(flat.length / 2);
  return {
    shape: [batch, channels, ...(size.length === 3 ? [size[1]!, size[2]!, size[0]!] : size)],
    mean: flat.reduce((a, v) => a + v, 0) / flat.length,
    l2: Math.sqrt(flat.reduce((a, v) => a + v * v, 0)),
    first: flat.slice(0, 4),
    mid: flat.slice(middle, middle + 4),
    last: flat.slice(-3),
  };
}

const norms: Record<string, NormKind> = { None: 'none', instance_norm: 'instance', batch_norm: 'batch', leaky: 'none' };

describe('the pyramid has the numbers of the Python toolkit', () => {
  for (const [key, { input: shape, levels }] of Object.entries(golden)) {
    test(key, () => {
      const [, dim, norm] = key.match(/^fpn_(\d)d_(None|instance_norm|batch_norm|leaky)/)!;
      const isLeaky = norm === 'leaky';
      const backbone = resNetFpn({
        dim: Number(dim) as Dim,
        inChannels: shape[1]!,
        startFilters: 2,
        outChannels: 4,
        strideOne: !isLeaky,
        sixthPooling: key.endsWith('p6True'),
        norm: norms[norm!]!,
        activation: isLeaky ? 'leakyRelu' : 'relu',
      });
      fill(backbone);
      tf.tidy(() => {
        const maps = backbone.apply(input(shape), 'predict');
        expect(maps).toHaveLength(levels.length);
        maps.forEach((map, i) => {
          const ours = summarise(map);
          const theirs = levels[i]!;
          expect(ours.shape).toEqual(theirs.shape);
          // Instance norm over a handful of voxels magnifies rounding.
          const scale = (norm === 'instance_norm' ? 2e-3 : 1e-4) * Math.max(...theirs.first.map(Math.abs), 0.01) + 1.1e-6;
          expect(Math.abs(ours.l2 - theirs.l2)).toBeLessThan(2e-4 * theirs.l2 + 1e-6);
          for (const part of ['first', 'mid', 'last'] as const) {
            theirs[part].slice(0, ours[part].length).forEach((v, k) => {
              expect(Math.abs(ours[part][k]! - v), `level ${i}, ${part} ${k}: ${ours[part][k]} beside ${v}`).toBeLessThan(scale);
            });
          }
        });
      });
      for (const weight of backbone.variables) weight.dispose();
    });
  }
});
