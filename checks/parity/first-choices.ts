import { type Random, rng } from '@mdt/core';

/** The recordings' idea of chance: whatever is drawn, it is the first ones. */
export const firstChoices: Random = {
  ...rng(0),
  choose: (n, count) => Int32Array.from({ length: Math.min(n, count) }, (_, i) => i),
  fork: () => firstChoices,
};
