import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Dim, product, rng, type SafeTensor, writeSafetensors } from '@mdt/core';

/** The original's names of its networks. */
export type OriginalModel = 'retina_net' | 'retina_unet' | 'mrcnn' | 'ufrcnn' | 'detection_unet';

/** What a contestant of the detectors' benchmarks is told. */
export interface RetinaCase {
  /** Default `retina_unet`. */
  model?: OriginalModel;
  /** Of ours. Default float32. */
  precision?: 'float32' | 'bfloat16';
  dim: Dim;
  /** z y x, or y x. */
  patchSize: readonly number[];
  batchSize: number;
  direction: 'step' | 'inference';
  threads: number;
  /** Path of a safetensors file: `images` [b, ...patchSize, 1], `boxes.B`, `labels.B`, `segmentation` and `instances` [b, ...patchSize]. */
  batch: string;
  /** Path of a safetensors file that ours writes before its first run: its weights by the original's names, for the peers. */
  weights: string;
}

const objectsPerImage = 2;

/** A path in the folder that the contestants share. */
export const sharedPath = (name: string): string => fileURLToPath(new URL(`../.mdt/benchmarks/${name}`, import.meta.url));

/**
 * Writes one batch of noise with bright cuboids, which every contestant reads: `objectsPerImage` objects an image, an extent of
 * a twelfth to a quarter of the patch. Gives the path.
 */
export function writeBatch({ patchSize, batchSize }: Pick<RetinaCase, 'patchSize' | 'batchSize'>): string {
  const random = rng('retina benchmark');
  const voxels = product(patchSize);
  const images = Float32Array.from({ length: batchSize * voxels }, () => random.normal());
  const segmentation = new Int32Array(batchSize * voxels);
  const instances = new Int32Array(batchSize * voxels);
  const tensors: [string, SafeTensor][] = [];
  for (let b = 0; b < batchSize; b++) {
    const boxes: number[] = [];
    for (let object = 0; object < objectsPerImage; object++) {
      const size = patchSize.map((n) => random.integer(Math.max(3, Math.floor(n / 12)), Math.max(4, Math.floor(n / 4))));
      const low = patchSize.map((n, axis) => random.integer(0, n - size[axis]!));
      boxes.push(...low, ...low.map((start, axis) => start + size[axis]!));
      for (let i = 0; i < voxels; i++) {
        let rest = i;
        let inside = true;
        for (let axis = patchSize.length - 1; axis >= 0; axis--) {
          const at = rest % patchSize[axis]!;
          rest = (rest - at) / patchSize[axis]!;
          inside &&= at >= low[axis]! && at < low[axis]! + size[axis]!;
        }
        if (!inside) continue;
        images[b * voxels + i]! += 2;
        segmentation[b * voxels + i] = 1;
        instances[b * voxels + i] = object + 1;
      }
    }
    const shape = [objectsPerImage, 2 * patchSize.length];
    tensors.push([`boxes.${b}`, { dtype: 'F32', shape, data: Float32Array.from(boxes) }]);
    tensors.push([`labels.${b}`, { dtype: 'I32', shape: [objectsPerImage], data: Int32Array.from([0, 1]) }]);
  }
  tensors.push(['images', { dtype: 'F32', shape: [batchSize, ...patchSize, 1], data: images }]);
  tensors.push(['instances', { dtype: 'I32', shape: [batchSize, ...patchSize], data: instances }]);
  tensors.push(['segmentation', { dtype: 'I32', shape: [batchSize, ...patchSize], data: segmentation }]);
  const path = sharedPath(`batch-${patchSize.join('x')}.safetensors`);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, writeSafetensors(tensors));
  return path;
}
