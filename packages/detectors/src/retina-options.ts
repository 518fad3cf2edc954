import type { Dim } from '@mdt/core';
import type { NmsOptions } from '@mdt/decode';
import { type AnchorStageOptions, anchorStageKeys } from './anchor-stage.js';
import { type CommonOptions, commonKeys } from './common-options.js';

export interface RetinaNetOptions<D extends Dim = Dim, C extends string = string>
  extends CommonOptions<D, C>,
    AnchorStageOptions<D> {
  /** Channels of the heads' hidden convolutions. Default 256 in 2D, 64 in 3D. */
  headFilters?: number;
  nms?: NmsOptions;
}

export const retinaNetKeys = [...commonKeys, ...anchorStageKeys, 'headFilters', 'nms'];

/** Of the original toolkit's one-stage detectors. */
export const retinaDefaults = { octaves: 3, positive: 0.5, poolSize: 20 };
