import type { Boundary } from './boundary.js';

const pole = Math.sqrt(3) - 2;
const gain = 6; // (1 - pole) * (1 - 1 / pole)

/** The border that the coefficients of each boundary are continued by; see csrc/cpu/spline.h. */
export const splineBorder = (boundary: Boundary): Boundary =>
  boundary === 'reflect' || boundary === 'grid-wrap' ? boundary : 'mirror';

/** Cells of padding on each side. */
export const splinePadding = (boundary: Boundary): number => (boundary === 'nearest' || boundary === 'grid-constant' ? 12 : 0);

/**
 * Replaces the values `[...size, channels]` by the coefficients of the cubic B-spline that goes through them (Unser, Aldroubi and
 * Eden 1993; scipy.ndimage.spline_filter). Axes of one cell stay as they are.
 */
export function splineFilter(values: Float64Array, size: ArrayLike<number>, channels: number, boundary: Boundary): void {
  let stride = channels;
  for (let axis = size.length - 1; axis >= 0; axis--) {
    const n = size[axis]!;
    if (n > 1) {
      const line = new Float64Array(n);
      for (let start = 0; start < values.length; start++) {
        if (Math.floor(start / stride) % n !== 0) continue;
        for (let i = 0; i < n; i++) line[i] = values[start + i * stride]!;
        filterLine(line, splineBorder(boundary));
        for (let i = 0; i < n; i++) values[start + i * stride] = line[i]!;
      }
    }
    stride *= n;
  }
}

function filterLine(line: Float64Array, border: Boundary): void {
  const n = line.length;
  // The signal goes on for ever, so the sums of the recursive filters start from its continuation.
  const at = (i: number): number => {
    if (border === 'grid-wrap') return line[((i % n) + n) % n]!;
    const period = border === 'reflect' ? 2 * n : 2 * n - 2;
    const k = ((i % period) + period) % period;
    return line[k < n ? k : border === 'reflect' ? period - 1 - k : period - k]!;
  };
  const far = 60; // pole^60 is 5e-35
  let causal = 0;
  for (let i = far; i >= 0; i--) causal = gain * at(-i) + pole * causal;
  const whole = Float64Array.from({ length: n + far }, (_, i) => gain * at(i));
  whole[0] = causal;
  for (let i = 1; i < n + far; i++) whole[i]! += pole * whole[i - 1]!;
  let next = 0;
  for (let i = n + far - 1; i >= 0; i--) {
    next = pole * (next - whole[i]!);
    if (i < n) line[i] = next;
  }
}
