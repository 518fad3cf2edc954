/**
 * Fills a closed polygon into an image: a pixel is inside where its centre is, by the even-odd rule. Pixel centres are at whole
 * numbers; on the border itself, left and upper edges count as inside.
 *
 * @param points `[x0, y0, x1, y1, …]`
 */
export function fillPolygon(
  points: ArrayLike<number>,
  [height, width]: readonly [number, number],
  visit: (y: number, xFrom: number, xTo: number) => void,
): void {
  const count = points.length / 2;
  let low = Number.POSITIVE_INFINITY;
  let high = Number.NEGATIVE_INFINITY;
  for (let i = 0; i < count; i++) {
    low = Math.min(low, points[2 * i + 1]!);
    high = Math.max(high, points[2 * i + 1]!);
  }
  for (let y = Math.max(0, Math.ceil(low)); y <= Math.min(height - 1, Math.floor(high)); y++) {
    const crossings: number[] = [];
    for (let i = 0, j = count - 1; i < count; j = i++) {
      const [y0, y1] = [points[2 * j + 1]!, points[2 * i + 1]!];
      if (y0 > y === y1 > y) continue;
      const [x0, x1] = [points[2 * j]!, points[2 * i]!];
      crossings.push(x0 + ((y - y0) / (y1 - y0)) * (x1 - x0));
    }
    crossings.sort((a, b) => a - b);
    for (let k = 0; k + 1 < crossings.length; k += 2) {
      const from = Math.max(0, Math.ceil(crossings[k]!));
      const to = Math.min(width, Math.ceil(crossings[k + 1]!));
      if (from < to) visit(y, from, to);
    }
  }
}
