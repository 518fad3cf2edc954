import type { Dim } from '@mdt/core';
import { type Tower, type TowerOptions, tower } from './tower.js';

/** Box deltas of each anchor: channels are `[anchor, delta]`, deltas in the box coder's order. */
export const regressor = <D extends Dim>(options: Omit<TowerOptions<D>, 'name' | 'out'> & { anchors: number }): Tower => {
  const { anchors, ...rest } = options;
  return tower({ ...rest, name: 'regressor', out: anchors * 2 * options.dim });
};
