import { existsSync, mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { product, rng, type SafeTensor, writeSafetensors } from '@mdt/core';

/** What a contestant of the op benchmark is told. `data` is the path of a safetensors file that all of them read. */
export type OpsCase = { threads: number; data: string } & (
  | { op: 'nms'; iouThreshold: number }
  /** The map is `[...size, channels]`; boxes are in its cells. */
  | {
      op: 'roiAlign' | 'roiAlignGrad';
      size: number[];
      channels: number;
      pool: number[];
      sampling: 'single' | 'average';
      ratio: number;
    }
  | { op: 'components'; size: number[]; connectivity: 6 | 26 }
  /** Cell i of the result lies at i · step in the source, per axis. */
  | { op: 'resample'; size: number[]; outputSize: number[]; step: number[]; order: 'nearest' | 'linear' | 'cubic' }
);

/** A file of the folder that contestants share; written once, under a name that says what is in it. */
function shared(name: string, tensors: () => [string, SafeTensor][]): string {
  const path = fileURLToPath(new URL(`../.mdt/benchmarks/${name}.safetensors`, import.meta.url));
  if (existsSync(path)) return path;
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(`${path}.${process.pid}`, writeSafetensors(tensors()));
  renameSync(`${path}.${process.pid}`, path);
  return path;
}

/**
 * `n` boxes in 3D. `few`: about 20 boxes around each of n / 20 places, at most 500, of which one stays; `many`: scattered so
 * thinly that most stay.
 */
export function nmsData(n: number, kept: 'few' | 'many'): string {
  return shared(`ops-nms-${n}-${kept}`, () => {
    const random = rng(`nms ${n} ${kept}`);
    const places = kept === 'few' ? Math.min(500, n / 20) : n;
    const reach = 40 * Math.cbrt(places); // so that places seldom meet
    const centres = Float64Array.from({ length: 3 * places }, () => random.next() * reach);
    const boxes = new Float32Array(6 * n);
    for (let i = 0; i < n; i++) {
      for (let d = 0; d < 3; d++) {
        const centre = centres[3 * (i % places) + d]! + random.next() * 4;
        const side = 12 + 12 * random.next();
        boxes[6 * i + d] = centre - side / 2;
        boxes[6 * i + 3 + d] = centre + side / 2;
      }
    }
    const scores = Float32Array.from({ length: n }, () => random.next());
    return [
      ['boxes', { dtype: 'F32', shape: [n, 6], data: boxes }],
      ['scores', { dtype: 'F32', shape: [n], data: scores }],
    ];
  });
}

/** A map of noise, boxes of 2 to half its cells per axis, and a gradient of noise for the pooled values. */
export function roiData(count: number, size: number[], channels: number, pool: number[]): string {
  return shared(`ops-roi-${count}-${size.join('x')}x${channels}-${pool.join('x')}`, () => {
    const random = rng(`roi ${size.join()}`);
    const dim = size.length;
    const noise = (length: number) => Float32Array.from({ length }, () => random.normal());
    const boxes = new Float32Array(2 * dim * count);
    for (let i = 0; i < count; i++) {
      for (let d = 0; d < dim; d++) {
        const side = 2 + random.next() * (size[d]! / 2 - 2);
        const low = random.next() * (size[d]! - side);
        boxes[2 * dim * i + d] = low;
        boxes[2 * dim * i + dim + d] = low + side;
      }
    }
    return [
      ['map', { dtype: 'F32', shape: [...size, channels], data: noise(product(size) * channels) }],
      ['boxes', { dtype: 'F32', shape: [count, 2 * dim], data: boxes }],
      ['dy', { dtype: 'F32', shape: [count, ...pool, channels], data: noise(count * product(pool) * channels) }],
    ];
  });
}

/** A scan: soft noise with balls of 2 to 12 voxels radius; `mask` is where the balls are. */
export function scanData(size: number[]): string {
  return shared(`ops-scan-${size.join('x')}`, () => {
    const random = rng('scan');
    const [depth, height, width] = size as [number, number, number];
    const mask = new Uint8Array(product(size));
    const image = Float32Array.from({ length: mask.length }, (_, i) => Math.sin(i * 1e-3) * 50 + 64 * random.next());
    const balls = Math.round(mask.length / 17_000);
    for (let ball = 0; ball < balls; ball++) {
      const radius = 2 + 10 * random.next();
      const centre = size.map((n) => random.next() * n);
      const [lowest, highest] = [-1, 1].map((sign) =>
        centre.map((c, d) => Math.max(0, Math.min(size[d]!, Math.round(c + sign * radius)))),
      );
      for (let z = lowest![0]!; z < highest![0]!; z++) {
        for (let y = lowest![1]!; y < highest![1]!; y++) {
          for (let x = lowest![2]!; x < highest![2]!; x++) {
            if ((z - centre[0]!) ** 2 + (y - centre[1]!) ** 2 + (x - centre[2]!) ** 2 > radius ** 2) continue;
            const at = (z * height + y) * width + x;
            mask[at] = 1;
            image[at]! += 200;
          }
        }
      }
    }
    return [
      ['image', { dtype: 'F32', shape: [depth, height, width], data: image }],
      ['mask', { dtype: 'U8', shape: [depth, height, width], data: mask }],
    ];
  });
}

/** A mask of which three cells in ten are 1, each by itself: about as many components as a mask can have, and large ones. */
export function noiseData(size: number[]): string {
  return shared(`ops-noise-${size.join('x')}`, () => {
    const random = rng('noise');
    const data = Uint8Array.from({ length: product(size) }, () => (random.next() < 0.3 ? 1 : 0));
    return [['mask', { dtype: 'U8', shape: size, data }]];
  });
}
