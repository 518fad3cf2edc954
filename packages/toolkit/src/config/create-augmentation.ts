import {
  type Augmentation,
  boxesFromLabelMap,
  brightness,
  compose,
  contrast,
  gaussianNoise,
  mirror,
  type SpatialOptions,
  spatial,
} from '@mdt/augment';
import { type Dim, type PerAxis, perAxis } from '@mdt/core';
import type { AugmentConfig } from './config.js';

export interface AugmentationPlan<D extends Dim> {
  augmentation?: Augmentation<D>;
  /** Voxels to cut beyond the patch on every side, so that a turned or shrunk patch is full of image. */
  margin: PerAxis<D>;
}

/** The augmentation that a configuration describes; none for `false`. */
export function createAugmentation<D extends Dim>(
  dim: D,
  config: AugmentConfig | false,
  patchSize: PerAxis<D>,
): AugmentationPlan<D> {
  const patch = Array.from(patchSize as PerAxis);
  if (config === false) return { margin: perAxis(dim, 0) };
  const { rotate = 0, scale, elastic } = config;
  const steps: Augmentation<D>[] = [];
  if (config.mirror?.length) steps.push(mirror({ axes: config.mirror }));
  const isSpatial = rotate > 0 || scale !== undefined || elastic !== undefined;
  if (isSpatial) {
    const options: SpatialOptions<D> = {
      outputSize: patchSize,
      ...(rotate > 0 && { rotate: { z: [-rotate, rotate] as const } }),
      ...(scale && { scale }),
      ...(elastic && { elastic: { alpha: elastic.alpha ?? [0, 1500], sigma: elastic.sigma ?? [30, 50] } }),
    };
    steps.push(spatial(options));
  }
  // One amount for all channels: they may be neighbouring slices.
  if (config.contrast) steps.push(contrast({ range: config.contrast, perChannel: false }));
  if (config.brightness) steps.push(brightness({ range: config.brightness, perChannel: false }));
  if (config.noise) steps.push(gaussianNoise({ range: config.noise }));
  steps.push(boxesFromLabelMap());
  const margin = isSpatial ? marginOf(patch, rotate, scale?.[1] ?? 1) : 0;
  return { augmentation: compose(dim, steps), margin: perAxis(dim, margin) };
}

/** How far the corners of a patch reach beyond it when it is turned in the plane by up to `angle` and enlarged by `zoom`. */
function marginOf(patch: readonly number[], angle: number, zoom: number): number[] {
  const largest = Math.min(angle, Math.PI / 2);
  const [height, width] = patch.slice(-2) as [number, number];
  const reach = (own: number, other: number): number => {
    // own · cos a + other · sin a has its maximum at tan a = other / own.
    const at = Math.min(largest, Math.atan2(other, own));
    return own * Math.cos(at) + other * Math.sin(at);
  };
  const needed = [...patch.slice(0, -2), reach(height, width), reach(width, height)];
  return patch.map((n, d) => Math.max(0, Math.ceil((needed[d]! * zoom - n) / 2)));
}
