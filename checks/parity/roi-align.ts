import { readFileSync } from 'node:fs';
import { type Dim, fromMdtBoxes, readSafetensors, type SafeTensor, toFloat32 } from '@mdt/core';
import { roiAlign, roiAlignGrad } from '@mdt/native-ops';
import type { Comparison, Parity } from './comparison.js';
import { compareTensor } from './measure.js';
import { toArrayOrder, toChannelsFirst, toChannelsLast } from './original-layout.js';

const tolerance = 1e-5;

/** RoIAlign and its gradient as the original's CUDA kernels compute them. */
export const roiAlignParity: Parity = {
  kind: 'roi-align',
  handles: (fileName) => /^roialign_.*\.safetensors$/.test(fileName),
  *compare(path): Iterable<Comparison> {
    const { tensors } = readSafetensors(readFileSync(path), path);
    const get = (name: string): SafeTensor => {
      const tensor = tensors.get(name);
      if (!tensor) throw new Error(`${path}: there is no tensor '${name}'`);
      return tensor;
    };
    const recorded = (name: string) => ({ shape: get(name).shape, values: toFloat32(get(name)) });
    const channelsLast = (name: string) => toChannelsLast(recorded(name).values, get(name).shape);

    const image = channelsLast('image'); // [batch, ...size, channels]
    const size = image.shape.slice(1, -1);
    const options = {
      dim: size.length as Dim,
      batch: image.shape[0]!,
      channels: image.shape.at(-1)!,
      images: Int32Array.from(get('batch_index').data as Int32Array),
      poolSize: toArrayOrder(get('output').shape.slice(2)),
      sampling: 'single',
    } as const;
    const boxes = fromMdtBoxes(recorded('boxes').values, options.dim); // normalised to [0, 1]

    const pooled = roiAlign({ values: image.data, size, scale: size }, boxes, options);
    const output = toChannelsFirst(pooled, [get('output').shape[0]!, ...options.poolSize, options.channels]);
    yield compareTensor('output', output.shape, output.data, recorded('output'), tolerance);

    const gradient = roiAlignGrad(channelsLast('output_grad').data, { size, scale: size }, boxes, options);
    const imageGrad = toChannelsFirst(gradient, image.shape);
    yield compareTensor('image gradient', imageGrad.shape, imageGrad.data, recorded('image_grad'), tolerance);
  },
};
