/** How an array goes on beyond its border; names and meanings of scipy.ndimage. Order as in csrc/cpu/boundary.h. */
export const boundaries = ['constant', 'grid-constant', 'nearest', 'mirror', 'reflect', 'grid-wrap'] as const;
export type Boundary = (typeof boundaries)[number];

export const outside = -1;

/** The cell of `n` that stands for the whole number `index`, or `outside`. */
export function fold(index: number, n: number, boundary: Boundary): number {
  if (index >= 0 && index < n) return index;
  const wrap = (period: number) => index - period * Math.floor(index / period);
  let cell = index;
  switch (boundary) {
    case 'grid-constant':
      return outside;
    case 'nearest':
      break;
    case 'constant': // only asked about neighbours of positions that are inside
    case 'mirror':
      if (n === 1) return 0;
      cell = wrap(2 * n - 2);
      if (cell >= n) cell = 2 * n - 2 - cell;
      break;
    case 'reflect':
      cell = wrap(2 * n);
      if (cell >= n) cell = 2 * n - 1 - cell;
      break;
    case 'grid-wrap':
      cell = wrap(n);
      break;
  }
  return Math.floor(Math.min(Math.max(cell, 0), n - 1));
}
