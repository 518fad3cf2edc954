import { type Dim, InputError, type PerAxis } from '@mdt/core';
import * as tf from '@tensorflow/tfjs-core';
import { type Backbone, type FeatureSpec, type Mode, type Projection, totalStride } from './backbone.js';
import { convBlock } from './blocks.js';
import type { InitScheme } from './init.js';
import { add } from './ops/add.js';
import { upsample } from './ops/upsample.js';
import { projectedLevel } from './projected-level.js';

export interface FpnOptions {
  /** Channels of every level. */
  outChannels: number;
  init?: InitScheme;
  /** Names of the levels that are given out and smoothed, as in `P2`. Default: all but inner levels finer than stride 4. */
  levels?: readonly string[];
}

/**
 * Feature pyramid (Lin et al. 2017) on any backbone: every map gets a 1×1 lateral convolution, is added to the enlarged coarser
 * one, and is smoothed by a 3×3 convolution. Level `Pk` stands on feature `Ck`.
 *
 * Maps at stride 4 and above are enlarged by repeating cells, finer ones linearly; of the latter only the finest is given out
 * (as in the original toolkit: `[P0, P2, P3, P4, P5]`).
 */
export function fpn<D extends Dim>(body: Backbone<D>, options: FpnOptions): Backbone<D> {
  const { outChannels, init = 'uniform-fan-in' } = options;
  const { dim, features } = body;
  const known = features.map((feature) => levelName(feature.name));
  const unknown = options.levels?.find((name) => !known.includes(name));
  if (unknown !== undefined || options.levels?.length === 0) {
    throw new InputError('invalid-option', `fpn: levels names '${unknown ?? 'nothing'}', expected some of ${known.join(', ')}`);
  }
  if (!(Number.isInteger(outChannels) && outChannels > 0)) {
    throw new InputError('invalid-option', `fpn: outChannels is ${String(outChannels)}, expected a whole number above 0`);
  }
  const levels = features.map((feature, i) => {
    const name = levelName(feature.name);
    const isFine = Math.max(...feature.stride) < 4;
    const isGiven = options.levels ? options.levels.includes(name) : !isFine || i === 0;
    const style = { dim, out: outChannels, activation: 'linear', init } as const;
    return {
      name,
      stride: feature.stride,
      lateral: convBlock({ ...style, name: `${name}.lateral`, in: feature.channels, kernel: 1 }),
      output: isGiven ? convBlock({ ...style, name: `${name}.output`, in: outChannels }) : undefined,
      fromCoarser: factors(feature, features[i + 1]),
      mode: isFine ? ('linear' as const) : ('nearest' as const),
    };
  });
  const given = levels.filter((level) => level.output);
  function run(images: tf.Tensor, mode: Mode, projection?: Projection): tf.Tensor[] {
    const maps = body.apply(images, mode);
    const outputs: tf.Tensor[] = [];
    let merged: tf.Tensor | undefined;
    for (let i = levels.length - 1; i >= 0; i--) {
      const { lateral, output, fromCoarser: factors, mode: upsampling } = levels[i]!;
      const coarser = merged;
      if (i === 0 && output && projection) {
        const level = { fine: maps[0]!, coarser, factors, mode: upsampling, lateral, output };
        outputs.unshift(projectedLevel(level, projection, mode));
        merged = undefined;
      } else {
        merged = tf.tidy(() => {
          const side = lateral.apply(maps[i]!, mode);
          return coarser ? add(side, upsample(coarser, { factors, mode: upsampling }), 'linear', { givesUp: true }) : side;
        });
        if (output) outputs.unshift(output.apply(merged, mode));
      }
      coarser?.dispose();
    }
    merged?.dispose();
    for (const map of new Set(maps)) if (map !== images) map.dispose();
    return outputs;
  }
  return {
    dim,
    inChannels: body.inChannels,
    features: given.map(({ name, stride }) => ({ name, stride, channels: outChannels })),
    variables: [
      ...body.variables,
      ...levels.flatMap(({ lateral, output }) => [...lateral.variables, ...(output?.variables ?? [])]),
    ],
    totalStride: totalStride(body),
    apply: (images, mode) => run(images, mode),
    ...(levels[0]!.output && {
      applyProjected: (images: tf.Tensor, projection: Projection, mode: Mode) => run(images, mode, projection),
    }),
  };
}

const levelName = (feature: string): string => feature.replace(/^C/, 'P');

function factors<D extends Dim>(fine: FeatureSpec<D>, coarse: FeatureSpec<D> | undefined): readonly number[] {
  const ratio = fine.stride.map((s, d) => (coarse ? coarse.stride[d]! / s : 1)) as unknown as PerAxis<D>;
  if (!ratio.every((r) => Number.isInteger(r) && r >= 1)) {
    throw new RangeError(
      `fpn: the stride of ${coarse?.name} [${coarse?.stride.join(', ')}] is no multiple of that of ${fine.name} [${fine.stride.join(', ')}]`,
    );
  }
  return ratio;
}
