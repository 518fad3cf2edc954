import { type Dim, refuseUnknownKeys } from '@mdt/core';
import type { Backbone } from './backbone.js';
import { fpn } from './fpn.js';
import { defaultStartFilters, type ResNetOptions, resNet, resNetKeys } from './resnet.js';

export interface ResNetFpnOptions<D extends Dim = Dim> extends ResNetOptions<D> {
  /** Channels of every pyramid level. Default 4 times `startFilters` in 2D, twice in 3D. */
  outChannels?: number;
  /** Pyramid levels that are given out, as in `['P0']`. Default: all. */
  levels?: readonly string[];
}

/** ResNet with a feature pyramid: levels `[P2 … P5]`, before them P0 with `strideOne`, after them P6 with `sixthPooling`. */
export function resNetFpn<D extends Dim>(options: ResNetFpnOptions<D>): Backbone<D> {
  refuseUnknownKeys('resNetFpn', options, [...resNetKeys, 'outChannels', 'levels']);
  const { outChannels, levels, ...body } = options;
  const start = options.startFilters ?? defaultStartFilters[options.dim];
  return fpn(resNet(body as ResNetOptions<D>), {
    outChannels: outChannels ?? start * (options.dim === 2 ? 4 : 2),
    ...(levels ? { levels } : {}),
    ...(options.init ? { init: options.init } : {}),
  });
}
