import '@tensorflow/tfjs-backend-cpu';
import { readFileSync } from 'node:fs';
import { type Dim, product, toMdtBoxes } from '@mdt/core';
import * as tf from '@tensorflow/tfjs-core';
import { describe, expect, test } from 'vitest';
import { classifier } from '../src/heads/classifier.js';
import { regressor } from '../src/heads/regressor.js';
import { anchorGrid, boxCoder, fromOriginalLayout, postprocess } from '../src/index.js';

interface Summary {
  shape: number[];
  mean: number;
  l2: number;
  first: number[];
  mid: number[];
  last: number[];
}
interface Heads {
  input: number[];
  cls: Summary;
  box: Summary;
}

// Made by running the Python toolkit's functions on the inputs written out below.
const golden = JSON.parse(readFileSync(new URL('golden-retina.json', import.meta.url), 'utf8')) as {
  retina_heads_2d: Heads;
  retina_heads_3d: Heads;
  /** Rows: box, image, class, score. */
  retina_refine_2d: number[][];
  retina_refine_3d: number[][];
};

/** For each cell of theirs, `(y, x, z)`, ours, `[z, y, x]`. */
const cellsInTheirOrder = (size: readonly number[]): number[] => {
  const [nz, ny, nx] = (size.length === 3 ? size : [1, ...size]) as [number, number, number];
  return Array.from(
    { length: nz * ny * nx },
    (_, i) => ((i % nz) * ny + Math.floor(i / (nz * nx))) * nx + (Math.floor(i / nz) % nx),
  );
};

function fillLikeOriginal(block: ReturnType<typeof classifier>, dim: Dim): void {
  for (const { name, shape, variable } of block.variables) {
    const isBias = shape.length === 1;
    const [inner, out] = shape.slice(-2) as [number, number];
    const theirShape = isBias ? [...shape] : [out, inner, ...shape.slice(0, -2)]; // all kernels are cubes here
    const fan = product(shape) / out;
    const data = Float32Array.from({ length: product(shape) }, (_, j) =>
      isBias ? 0.01 * Math.cos(j) : Math.sin(0.7 * j + 0.3) / Math.sqrt(fan),
    );
    variable.assign(tf.tensor(fromOriginalLayout(name, shape, { dtype: 'F32', shape: theirShape, data }, dim), [...shape]));
  }
}

describe('the heads have the numbers of the Python toolkit', () => {
  for (const dim of [2, 3] as const) {
    test(`${dim}D`, () => {
      const { input, cls, box } = golden[`retina_heads_${dim}d`];
      const [, channels, ...theirSize] = input;
      const size = dim === 3 ? [theirSize[2]!, theirSize[0]!, theirSize[1]!] : theirSize;
      const cells = cellsInTheirOrder(size);
      const values = new Float32Array(cells.length * channels!);
      cells.forEach((ours, theirs) => {
        for (let c = 0; c < channels!; c++) values[ours * channels! + c] = Math.sin(0.013 * (c * cells.length + theirs));
      });
      const x = tf.tensor(values, [1, ...size, channels!]);
      const options = { dim, in: channels!, filters: 5, anchors: 9 };
      for (const [block, expected, order] of [
        [classifier({ ...options, outputs: 3 }), cls, [0, 1, 2]],
        [regressor(options), box, dim === 3 ? [1, 2, 0, 4, 5, 3] : [0, 1, 2, 3]],
      ] as const) {
        fillLikeOriginal(block, dim);
        const data = block.apply(x, 'predict').dataSync();
        const flat = cells.flatMap((cell) =>
          Array.from({ length: 9 }, (_, a) => order.map((k) => data[(cell * 9 + a) * order.length + k]!)).flat(),
        );
        expect(flat).toHaveLength(product(expected.shape));
        const close = (ours: number, theirs: number) => expect(Math.abs(ours - theirs)).toBeLessThan(2e-6);
        const middle = Math.floor(flat.length / 2);
        expected.first.forEach((v, i) => {
          close(flat[i]!, v);
        });
        expected.mid.forEach((v, i) => {
          close(flat[middle + i]!, v);
        });
        expected.last.forEach((v, i) => {
          close(flat[flat.length - 3 + i]!, v);
        });
        expect(Math.hypot(...flat) / expected.l2).toBeCloseTo(1, 4);
      }
    });
  }
});

describe('post-processing gives the detections of the Python toolkit', () => {
  for (const dim of [2, 3] as const) {
    test(`${dim}D, a batch of two`, async () => {
      const stride = [4, 8, 8].slice(-dim) as unknown as [number, number];
      const patchSize = [8, 32, 32].slice(-dim) as unknown as [number, number];
      const sizes = { P2: [2, 8, 8].slice(-dim) as unknown as [number, number] };
      const grid = anchorGrid(dim as 2, [{ name: 'P2', stride }], patchSize, { sizes, octaves: 1 });
      const cells = cellsInTheirOrder(grid.levels[0]!.cells);
      const inOurOrder = (width: number, order: readonly number[], value: (i: number) => number) => {
        const out = new Float64Array(2 * grid.length * width);
        for (let row = 0; row < 2 * grid.length; row++) {
          const [image, place] = [Math.floor(row / grid.length), row % grid.length];
          const ours = image * grid.length + cells[Math.floor(place / 3)]! * 3 + (place % 3);
          for (let k = 0; k < width; k++) out[ours * width + order[k]!] = value(row * width + k);
        }
        return out;
      };
      const exps = inOurOrder(3, [0, 1, 2], (i) => Math.exp(2 * Math.sin(1.3 * i + 0.7)));
      const probabilities = exps.map((e, i) => e / exps.subarray(i - (i % 3), i - (i % 3) + 3).reduce((a, b) => a + b));
      const order = dim === 3 ? [1, 2, 0, 4, 5, 3] : [0, 1, 2, 3];
      const found = await postprocess(
        {
          batchSize: 2,
          probabilities: [probabilities],
          deltas: [inOurOrder(2 * dim, order, (i) => 2 * Math.sin(0.8 * i + 0.3))],
        },
        {
          grid,
          coder: boxCoder({ dim, std: dim === 2 ? [0.1, 0.1, 0.1, 0.2] : [0.1, 0.1, 0.1, 0.2, 0.2, 0.2] }),
          patchSize,
          numClasses: 2,
          nms: { iouThreshold: 1e-5, maxPerImage: 4, minScore: 0.1, preNmsTopK: 40 },
          legacy: true,
        },
      );
      const rows = found.flatMap(({ boxes, scores, labels }, image) =>
        Array.from(labels, (label, i) => {
          const box = toMdtBoxes(boxes.slice(i * 2 * dim, (i + 1) * 2 * dim), dim);
          return [...box, image, label + 1, Math.round(scores[i]! * 1e4) / 1e4].join();
        }),
      );
      expect(rows.sort()).toEqual(golden[`retina_refine_${dim}d`].map((row) => row.join()).sort());
    });
  }
});
