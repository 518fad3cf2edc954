import { type Block, convBlock, type InitScheme } from '@mdt/backbone';
import type { Dim } from '@mdt/core';

/** Class logits of each voxel from the finest feature map: one 1×1 convolution. */
export const segmenter = <D extends Dim>(options: { dim: D; in: number; classes: number; init?: InitScheme }): Block =>
  convBlock({
    dim: options.dim,
    name: 'segmenter',
    in: options.in,
    out: options.classes,
    kernel: 1,
    activation: 'linear',
    ...(options.init ? { init: options.init } : {}),
  });
