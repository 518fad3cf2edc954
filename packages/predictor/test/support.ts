import { type Dim, type PatchDetector, type PatchResult, type PerAxis, product } from '@mdt/core';

/**
 * A detector that can be followed on paper: it finds the box around the voxels above 0.5, and its probabilities are 1 − value and value.
 */
export class SpotDetector<D extends Dim> implements PatchDetector<D> {
  readonly kind = 'SpotDetector';
  readonly classes = ['spot'];
  readonly inChannels: number = 1;

  constructor(
    readonly dim: D,
    readonly patchSize: PerAxis<D>,
  ) {}

  async detectPatches(patches: Float32Array, count: number): Promise<PatchResult<D>> {
    const detections = Array.from({ length: count }, (_, b) => {
      const voxels = patches.length / count;
      const box = spotBox(patches.subarray(b * voxels, (b + 1) * voxels), this.patchSize);
      const n = box ? 1 : 0;
      return {
        dim: this.dim,
        boxes: Float32Array.from(box ?? []),
        scores: new Float32Array(n).fill(0.9),
        labels: new Int32Array(n),
      };
    });
    return { detections, segmentation: probabilities(patches) };
  }

  dispose(): void {}
}

/** Finds each voxel above 0.5 as a box of one voxel; as translation-invariant as can be. */
export class VoxelDetector<D extends Dim> extends SpotDetector<D> {
  override async detectPatches(patches: Float32Array, count: number): Promise<PatchResult<D>> {
    const { dim, patchSize } = this;
    const voxels = product(patchSize);
    const detections = Array.from({ length: count }, (_, b) => {
      const boxes: number[] = [];
      const scores: number[] = [];
      for (let i = 0; i < voxels; i++) {
        const value = patches[b * voxels + i]!;
        if (!(value > 0.5)) continue;
        const at: number[] = [];
        for (let d = dim - 1, rest = i; d >= 0; d--) {
          at.unshift(rest % patchSize[d]!);
          rest = Math.floor(rest / patchSize[d]!);
        }
        boxes.push(...at, ...at.map((v) => v + 1));
        scores.push(value);
      }
      return {
        dim,
        boxes: Float32Array.from(boxes),
        scores: Float32Array.from(scores),
        labels: new Int32Array(scores.length),
      };
    });
    const masks = detections.map(({ boxes, labels }) => {
      const out = new Uint8Array(labels.length * voxels);
      for (let k = 0; k < labels.length; k++) {
        let at = 0;
        for (let d = 0; d < dim; d++) at = at * patchSize[d]! + boxes[k * 2 * dim + d]!;
        out[k * voxels + at] = 1;
      }
      return out;
    });
    return { detections, masks, segmentation: probabilities(patches) };
  }
}

function probabilities(values: Float32Array): Float32Array {
  const out = new Float32Array(2 * values.length);
  for (let i = 0; i < values.length; i++) {
    out[2 * i] = 1 - values[i]!;
    out[2 * i + 1] = values[i]!;
  }
  return out;
}

/** The smallest box around the values above 0.5. */
export function spotBox(values: ArrayLike<number>, size: ArrayLike<number>): number[] | undefined {
  const dim = size.length;
  const low = Array.from(size);
  const high = Array.from(size, () => 0);
  for (let i = 0; i < values.length; i++) {
    if (!(values[i]! > 0.5)) continue;
    let rest = i;
    for (let d = dim - 1; d >= 0; d--) {
      const at = rest % size[d]!;
      rest = Math.floor(rest / size[d]!);
      low[d] = Math.min(low[d]!, at);
      high[d] = Math.max(high[d]!, at + 1);
    }
  }
  return high[0] === 0 ? undefined : [...low, ...high];
}
