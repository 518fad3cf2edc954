import type { Block } from '@mdt/backbone';
import type { Dim } from '@mdt/core';
import { type TowerOptions, tower } from './tower.js';

/** Class logits of each anchor: channels are `[anchor, class]`, background first. */
export const classifier = <D extends Dim>(
  options: Omit<TowerOptions<D>, 'name' | 'out'> & { anchors: number; classes: number },
): Block => {
  const { anchors, classes, ...rest } = options;
  return tower({ ...rest, name: 'classifier', out: anchors * classes });
};
