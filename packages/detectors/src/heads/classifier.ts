import type { Dim } from '@mdt/core';
import { type Tower, type TowerOptions, tower } from './tower.js';

/** Class logits of each anchor: channels are `[anchor, output]`. */
export const classifier = <D extends Dim>(
  options: Omit<TowerOptions<D>, 'name' | 'out'> & { anchors: number; outputs: number },
): Tower => {
  const { anchors, outputs, ...rest } = options;
  return tower({ ...rest, name: 'classifier', out: anchors * outputs });
};
