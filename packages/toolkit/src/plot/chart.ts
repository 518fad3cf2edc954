import { type Attributes, coordinate, element, text, textWidth, theme } from './svg.js';

export interface Series {
  /** Empty: not in the legend. */
  name: string;
  x: ArrayLike<number>;
  y: ArrayLike<number>;
  /** Default: the next colour of the theme. */
  color?: string;
  dashed?: boolean;
  /** Draws a dot at every value. Default: when there are fewer than 40. */
  dots?: boolean;
  /** Tints what lies between the line and the lower edge of the panel. */
  filled?: boolean;
}

/** A tinted area between two lines, as of intervals. */
export interface Band {
  x: ArrayLike<number>;
  low: ArrayLike<number>;
  high: ArrayLike<number>;
  color: string;
}

export interface Mark {
  x: number;
  y: number;
  label: string;
  color?: string;
}

export interface ChartOptions {
  series: readonly Series[];
  /** Drawn below the series. */
  bands?: readonly Band[];
  title?: string;
  xLabel: string;
  yLabel: string;
  /** Fixed range of an axis; default: the range of the values. */
  xRange?: readonly [number, number];
  yRange?: readonly [number, number];
  /** Decades instead of equal steps; values of 0 and below are left out. */
  logY?: boolean;
  /** Whole-number ticks only, for epochs and counts. */
  integerX?: boolean;
  /** Where grid lines of x are and what they are called, in place of round values. */
  xTicks?: readonly { at: number; label: string }[];
  /** Points worth a ring, a plumb line and a word. */
  marks?: readonly Mark[];
  /** Names on the right, next to the panel; default true when there is more than one series. */
  legend?: boolean;
}

/** Where a chart stands on its page, in pixels. */
export interface Frame {
  left: number;
  top: number;
  width: number;
  height: number;
}

const legendWidth = 150;

/** A line chart with axes, grid and legend as an SVG group that fills `frame`. */
export function chart(options: ChartOptions, frame: Frame): string {
  const { series, logY = false } = options;
  const legend = options.legend ?? series.length > 1;
  const inner: Frame = {
    left: frame.left + 58,
    top: frame.top + (options.title ? 40 : 14),
    width: frame.width - 58 - (legend ? legendWidth : 18),
    height: frame.height - (options.title ? 40 : 14) - 48,
  };
  const value = logY ? Math.log10 : (v: number) => v;
  const usable = (v: number) => Number.isFinite(v) && (!logY || v > 0);
  const [x0, x1] = options.xRange ?? range(series.flatMap((s) => Array.from(s.x).filter(Number.isFinite)));
  const [v0, v1] = (options.yRange ?? padded(series, usable, logY)).map(value) as [number, number];
  const px = (x: number) => inner.left + ((x - x0) / (x1 - x0 || 1)) * inner.width;
  const py = (y: number) => inner.top + inner.height - ((value(y) - v0) / (v1 - v0 || 1)) * inner.height;

  const colors = series.map((s, i) => s.color ?? theme.series[i % theme.series.length]!);
  const parts: string[] = [];
  if (options.title) {
    parts.push(
      text(options.title, { x: frame.left + 6, y: frame.top + 22, 'font-size': 16, 'font-weight': 700, fill: theme.ink }),
    );
  }
  const label: Attributes = { 'font-size': 12, fill: theme.muted };
  for (const tick of logY ? decades(v0, v1) : ticks(v0, v1, inner.height / 40)) {
    const y = py(tick);
    parts.push(element('line', { x1: inner.left, x2: inner.left + inner.width, y1: y, y2: y, stroke: theme.grid }));
    parts.push(text(tickLabel(tick), { ...label, x: inner.left - 8, y: y + 4, 'text-anchor': 'end' }));
  }
  const round = ticks(x0, x1, inner.width / 70).filter((tick) => !options.integerX || Number.isInteger(tick));
  for (const { at, label: name } of options.xTicks ?? round.map((tick) => ({ at: tick, label: tickLabel(tick) }))) {
    const x = px(at);
    parts.push(element('line', { x1: x, x2: x, y1: inner.top, y2: inner.top + inner.height, stroke: theme.grid }));
    parts.push(text(name, { ...label, x, y: inner.top + inner.height + 18, 'text-anchor': 'middle' }));
  }
  const corner = `M${coordinate(inner.left)} ${coordinate(inner.top)}v${coordinate(inner.height)}h${coordinate(inner.width)}`;
  parts.push(element('path', { d: corner, fill: 'none', stroke: theme.axis }));
  const axisTitle: Attributes = { 'font-size': 13, fill: theme.ink, 'text-anchor': 'middle' };
  parts.push(text(options.xLabel, { ...axisTitle, x: inner.left + inner.width / 2, y: inner.top + inner.height + 40 }));
  const middle = inner.top + inner.height / 2;
  const turn = `rotate(-90 ${coordinate(frame.left + 14)} ${coordinate(middle)})`;
  parts.push(text(options.yLabel, { ...axisTitle, x: frame.left + 14, y: middle, transform: turn }));

  for (const { x, low, high, color } of options.bands ?? []) {
    const places = Array.from(x, (_, k) => k).filter((k) => usable(low[k]!) && usable(high[k]!));
    const corners = [...places.map((k) => [x[k]!, high[k]!] as const), ...places.reverse().map((k) => [x[k]!, low[k]!] as const)];
    if (corners.length >= 4)
      parts.push(
        tint(
          corners.map(([cx, cy]) => [px(cx), py(cy)] as const),
          color,
        ),
      );
  }
  series.forEach((s, i) => {
    const points = Array.from(s.x, (x, k) => [x, s.y[k]!] as const).filter(([x, y]) => Number.isFinite(x) && usable(y));
    const path = points.map(([x, y], k) => `${k === 0 ? 'M' : 'L'}${coordinate(px(x))} ${coordinate(py(y))}`).join('');
    if (s.filled && points.length > 1) {
      const bottom = inner.top + inner.height;
      const ends = [points.at(-1)!, points[0]!].map(([x]) => [px(x), bottom] as const);
      parts.push(tint([...points.map(([x, y]) => [px(x), py(y)] as const), ...ends], colors[i]!));
    }
    if (path) {
      parts.push(
        element('path', {
          d: path,
          fill: 'none',
          stroke: colors[i]!,
          'stroke-width': 2.2,
          'stroke-linejoin': 'round',
          'stroke-dasharray': s.dashed ? '6 4' : undefined,
        }),
      );
    }
    if (s.dots ?? points.length < 40) {
      for (const [x, y] of points) parts.push(element('circle', { cx: px(x), cy: py(y), r: 2.6, fill: colors[i]! }));
    }
  });
  if (legend) parts.push(...legendEntries(series, colors, inner));
  for (const mark of options.marks ?? []) parts.push(markEntry(mark, px(mark.x), py(mark.y), inner));
  return element('g', {}, ...parts);
}

/** A polygon of pixels through which the grid still shows. */
function tint(corners: readonly (readonly [number, number])[], color: string): string {
  const points = corners.map(([x, y]) => `${coordinate(x)},${coordinate(y)}`).join(' ');
  return element('polygon', { points, fill: color, 'fill-opacity': 0.16 });
}

function legendEntries(series: readonly Series[], colors: readonly string[], inner: Frame): string[] {
  const left = inner.left + inner.width + 16;
  let row = 0;
  return series.flatMap((s, i) => {
    if (s.name === '') return [];
    const y = inner.top + 10 + row++ * 20;
    return [
      element('line', {
        x1: left,
        x2: left + 20,
        y1: y,
        y2: y,
        stroke: colors[i]!,
        'stroke-width': 3,
        'stroke-dasharray': s.dashed ? '6 4' : undefined,
      }),
      text(s.name, { x: left + 27, y: y + 4, 'font-size': 12.5, fill: theme.ink }),
    ];
  });
}

function markEntry({ label, color = theme.ink }: Mark, x: number, y: number, inner: Frame): string {
  const bottom = inner.top + inner.height;
  const leftward = x + 10 + textWidth(label, 12) > inner.left + inner.width;
  return [
    element('line', { x1: x, x2: x, y1: y + 5.5, y2: bottom, stroke: color, 'stroke-dasharray': '2 3' }),
    element('circle', { cx: x, cy: y, r: 5.5, fill: 'none', stroke: color, 'stroke-width': 1.8 }),
    text(label, {
      x: leftward ? x - 7 : x + 7,
      y: bottom - 10,
      'font-size': 12,
      'font-weight': 700,
      'text-anchor': leftward ? 'end' : 'start',
      fill: color,
    }),
  ].join('');
}

/** Round values between `low` and `high`, about `count` of them: steps of 1, 2 or 5 times a power of ten. */
export function ticks(low: number, high: number, count: number): number[] {
  const span = high - low;
  if (!(span > 0)) return [low];
  const rough = span / Math.max(2, count);
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * ([1, 2, 5, 10].find((m) => m * power >= rough) ?? 10);
  const first = Math.ceil(low / step - 1e-9);
  const last = Math.floor(high / step + 1e-9);
  return Array.from({ length: last - first + 1 }, (_, i) => Number(((first + i) * step).toPrecision(12)));
}

function decades(low: number, high: number): number[] {
  const list: number[] = [];
  const factors = high - low > 3 ? [1] : [1, 2, 5];
  for (let e = Math.floor(low); e <= Math.ceil(high); e++) {
    for (const m of factors) {
      const v = m * 10 ** e;
      if (Math.log10(v) >= low - 1e-9 && Math.log10(v) <= high + 1e-9) list.push(v);
    }
  }
  return list;
}

function range(values: readonly number[]): [number, number] {
  if (values.length === 0) return [0, 1];
  let low = Number.POSITIVE_INFINITY;
  let high = Number.NEGATIVE_INFINITY;
  for (const v of values) {
    low = Math.min(low, v);
    high = Math.max(high, v);
  }
  return low < high ? [low, high] : [low - 0.5, high + 0.5];
}

function padded(series: readonly Series[], usable: (v: number) => boolean, log: boolean): [number, number] {
  const values = series.flatMap((s) => Array.from(s.y).filter(usable));
  if (values.length === 0) return log ? [0.1, 1] : [0, 1];
  const [low, high] = range(values);
  if (log) return [low > 0 ? low / 1.15 : high / 10, high * 1.15];
  const room = (high - low) * 0.06;
  return [low >= 0 ? Math.max(0, low - room) : low - room, high + room];
}

function tickLabel(value: number): string {
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-3 || size >= 1e5)) return value.toExponential(0).replace('-', '−');
  return String(Number(value.toPrecision(6))).replace('-', '−');
}
