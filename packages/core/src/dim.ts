/** Number of spatial axes. */
export type Dim = 2 | 3;

/** One value per spatial axis, in array order: `[y, x]` or `[z, y, x]`. */
export type PerAxis<D extends Dim = Dim> = D extends 2
  ? readonly [number, number]
  : D extends 3
    ? readonly [number, number, number]
    : never;

export type AxisName = 'z' | 'y' | 'x';

/** Names of the axes in array order. */
export const axisNames: { readonly [D in Dim]: readonly AxisName[] } = { 2: ['y', 'x'], 3: ['z', 'y', 'x'] };

/** Index of an axis in array order; throws for `z` in 2D. */
export function axisIndex(dim: Dim, axis: AxisName): number {
  const index = axisNames[dim].indexOf(axis);
  if (index < 0) throw new RangeError(`axis: expected one of ${axisNames[dim].join(', ')} (dim ${dim}), got ${axis}`);
  return index;
}

/** A value for each axis: one number is repeated, a list is checked for its length. */
export function perAxis<D extends Dim>(dim: D, value: number | ArrayLike<number>, name = 'value'): PerAxis<D> {
  const values = typeof value === 'number' ? Array.from({ length: dim }, () => value) : Array.from(value);
  if (values.length !== dim) {
    throw new RangeError(`${name}: expected ${dim} values (${axisNames[dim].join(', ')}), got ${values.length}`);
  }
  return values as unknown as PerAxis<D>;
}

export function product(values: ArrayLike<number>): number {
  let result = 1;
  for (let i = 0; i < values.length; i++) result *= values[i]!;
  return result;
}
