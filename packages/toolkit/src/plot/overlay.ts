import { type BoxArray, type Detections, type Dim, type GroundTruth, numBoxes, type Volume } from '@mdt/core';
import { contrastWindow, pictureOf, type Window } from './image.js';
import { dataUri, encodePng } from './png.js';
import { document, element, text, textWidth, theme } from './svg.js';

export interface OverlayOptions {
  groundTruth?: GroundTruth;
  detections?: Detections;
  /** Box rows of anchors, drawn thin below the others. */
  anchors?: BoxArray;
  /** Class names; written next to the score when there is more than one. */
  classes?: readonly string[];
  /** Detections below this score are not drawn. Default 0.1. */
  minScore?: number;
  title?: string;
  /** SVG units per voxel. Default: so that the longer side becomes 1200 (slices of a montage: 320 wide), at most 6. */
  zoom?: number;
  /** Values shown as black and white. Default: the 0.5 % and 99.7 % quantiles. */
  window?: Window;
}

export interface MontageOptions extends OverlayOptions {
  /** Slice indices, or how many to spread evenly over the slices that hold objects. Default 9. */
  slices?: number | readonly number[];
  /** Default: as square as possible. */
  columns?: number;
}

const header = 46;
const margin = 14;

/** A 2D image with ground truth and scored boxes drawn on it: an SVG document that carries the image. */
export function plotImage(image: Volume<2>, options: OverlayOptions = {}): string {
  check(image, options);
  const [height, width] = image.size;
  const zoom = options.zoom ?? Math.max(1, Math.min(6, 1200 / Math.max(width, height)));
  const panel = slicePanel(image, 0, zoom, options.window ?? contrastWindow(image), options);
  const pageWidth = Math.max(width * zoom + 2 * margin, 420);
  return page(
    pageWidth,
    height * zoom + header + margin,
    options,
    element('g', { transform: `translate(${margin} ${header})` }, panel),
  );
}

/** Slices of a volume with the ground truth and the scored boxes that they cut: an SVG document that carries the slices. */
export function plotMontage(image: Volume<3>, options: MontageOptions = {}): string {
  check(image, options);
  const [depth, height, width] = image.size;
  const chosen = Array.isArray(options.slices)
    ? (options.slices as readonly number[])
    : spread(image, options, typeof options.slices === 'number' ? options.slices : 9);
  for (const z of chosen) {
    if (!(Number.isInteger(z) && z >= 0 && z < depth)) {
      throw new RangeError(`plotMontage: slice ${z} is outside the volume (0 to ${depth - 1})`);
    }
  }
  const columns = Math.max(1, Math.min(chosen.length, options.columns ?? Math.ceil(Math.sqrt(chosen.length))));
  const zoom = options.zoom ?? Math.max(0.5, Math.min(6, 320 / width));
  const window = options.window ?? contrastWindow(image);
  const gap = 8;
  const panels = chosen.map((z, i) => {
    const x = margin + (i % columns) * (width * zoom + gap);
    const y = header + Math.floor(i / columns) * (height * zoom + gap);
    const caption = outlined(`z ${z}`, { x: 6, y: height * zoom - 7, size: 12, color: '#ffffff' });
    return element('g', { transform: `translate(${x} ${y})` }, slicePanel(image, z, zoom, window, options), caption);
  });
  const rows = Math.ceil(chosen.length / columns);
  const pageWidth = Math.max(2 * margin + columns * (width * zoom + gap) - gap, 420);
  return page(pageWidth, header + rows * (height * zoom + gap) - gap + margin, options, ...panels);
}

function check(image: Volume<Dim>, { groundTruth, detections }: OverlayOptions): void {
  for (const item of [groundTruth, detections]) {
    if (item && item.dim !== image.dim) throw new RangeError(`plot: boxes of dim ${item.dim} on an image of dim ${image.dim}`);
  }
}

type LegendEntry = readonly [label: string, color: string];

const legendWidth = ([label]: LegendEntry): number => textWidth(label, 13) + 21;

/** Frames with what they stand for, beside each other from `left` on; `y` is the foot of the text. */
function legendLine(entries: readonly LegendEntry[], left: number, y: number): string[] {
  let x = left;
  return entries.map((entry) => {
    const [label, color] = entry;
    const frame = element('rect', {
      x,
      y: y - 11,
      width: 14,
      height: 13,
      rx: 2,
      fill: 'none',
      stroke: color,
      'stroke-width': 2.5,
    });
    const line = element('g', {}, frame, text(label, { x: x + 21, y, 'font-size': 13, fill: theme.ink }));
    x += legendWidth(entry) + 22;
    return line;
  });
}

function page(width: number, height: number, options: OverlayOptions, ...body: string[]): string {
  const { groundTruth, detections, minScore = 0.1 } = options;
  const entries: LegendEntry[] = [];
  if (groundTruth) entries.push([`${groundTruth.labels.length} annotated`, theme.groundTruth]);
  if (detections) {
    const shown = detections.scores.filter((score: number) => score >= minScore).length;
    entries.push([`${shown} detections, score ≥ ${minScore}`, theme.detection]);
  }
  const wide = entries.reduce((sum, entry) => sum + legendWidth(entry) + 22, -22);
  const legend = legendLine(entries, width - margin - wide, 29);
  return document(
    width,
    height,
    element('rect', { width, height, fill: theme.paper }),
    options.title ? text(options.title, { x: margin, y: 30, 'font-size': 18, 'font-weight': 700, fill: theme.ink }) : '',
    ...legend,
    ...body,
  );
}

/** One patch or slice of a grid. */
export interface GridItem extends OverlayOptions {
  image: Volume<Dim>;
  /** Slice of a volume. Default: the middle of its first object, or of the volume. */
  slice?: number;
  caption: string;
}

/** Images or slices beside each other, each with its boxes: an SVG document. */
export function plotGrid(items: readonly GridItem[], options: { title?: string; columns?: number; width?: number } = {}): string {
  const { columns = Math.ceil(Math.sqrt(items.length)), width: side = 280 } = options;
  const gap = 26;
  const top = header + 22;
  let bottom = top;
  const panels = items.map((item, i) => {
    check(item.image, item);
    const [height, width] = Array.from(item.image.size as readonly number[]).slice(-2) as [number, number];
    const zoom = side / width;
    const x = margin + (i % columns) * (side + 8);
    const y = top + Math.floor(i / columns) * (height * zoom + gap);
    bottom = Math.max(bottom, y + height * zoom + gap);
    const panel = slicePanel(item.image, item.slice ?? middleSlice(item), zoom, item.window ?? contrastWindow(item.image), item);
    const caption = text(item.caption, { x: 0, y: height * zoom + 16, 'font-size': 12, fill: theme.muted });
    return element('g', { transform: `translate(${x} ${y})` }, panel, caption);
  });
  const width = Math.max(2 * margin + Math.min(columns, items.length) * (side + 8) - 8, 420);
  const title = options.title ?? '';
  const kinds = [
    ['objects', theme.groundTruth, 'groundTruth'],
    ['anchors that learn from them', theme.anchor, 'anchors'],
    ['found', theme.detection, 'detections'],
  ] as const;
  const entries = kinds.flatMap(([label, color, part]): LegendEntry[] =>
    items.some((item) => item[part]) ? [[label, color]] : [],
  );
  return document(
    width,
    bottom,
    element('rect', { width, height: bottom, fill: theme.paper }),
    text(title, { x: margin, y: 30, 'font-size': 18, 'font-weight': 700, fill: theme.ink }),
    ...legendLine(entries, margin, 55),
    ...panels,
  );
}

function middleSlice({ image, groundTruth }: GridItem): number {
  if (image.dim === 2) return 0;
  const boxes = groundTruth && groundTruth.labels.length > 0 ? groundTruth.boxes : [0, 0, 0, image.size[0]!];
  return Math.min(image.size[0]! - 1, Math.max(0, Math.floor((boxes[0]! + boxes[3]!) / 2)));
}

function slicePanel(image: Volume<Dim>, z: number, zoom: number, window: Window, options: OverlayOptions): string {
  const { groundTruth, detections, classes = [], minScore = 0.1 } = options;
  const picture = pictureOf(image, z, window);
  const width = picture.width * zoom;
  const height = picture.height * zoom;
  const parts = [
    element('image', {
      href: dataUri(encodePng(picture.pixels, picture.width, picture.height, picture.channels)),
      width,
      height,
      preserveAspectRatio: 'none',
      style: zoom >= 3 ? 'image-rendering:pixelated' : undefined,
    }),
  ];
  const labels: string[] = [];
  if (options.anchors) {
    for (const i of cutBy(options.anchors, image.dim, z)) {
      parts.push(rectangle(options.anchors, i, image.dim, zoom, theme.anchor, 1.2));
    }
  }
  if (groundTruth) {
    for (const i of cutBy(groundTruth.boxes, image.dim, z)) {
      parts.push(rectangle(groundTruth.boxes, i, image.dim, zoom, theme.groundTruth, 3));
    }
  }
  if (detections) {
    for (const i of cutBy(detections.boxes, image.dim, z)) {
      const score = detections.scores[i]!;
      if (score < minScore) continue;
      parts.push(rectangle(detections.boxes, i, image.dim, zoom, theme.detection, 1.6));
      const { left, top } = corner(detections.boxes, i, image.dim, zoom);
      const name = classes.length > 1 ? `${classes[detections.labels[i]!] ?? detections.labels[i]} ` : '';
      const label = `${name}${score >= 0.995 ? '1.0' : score.toFixed(2).replace(/^0/, '')}`;
      const x = Math.max(1, Math.min(left, width - textWidth(label, 12.5) - 2));
      labels.push(outlined(label, { x, y: top > 14 ? top - 3 : top + 13, size: 12.5, color: theme.detection }));
    }
  }
  const id = `c${Math.round(width)}x${Math.round(height)}`;
  const clip = element('clipPath', { id }, element('rect', { width, height }));
  return element('g', {}, clip, element('g', { 'clip-path': `url(#${id})` }, ...parts, ...labels));
}

const outlined = (content: string, { x, y, size, color }: { x: number; y: number; size: number; color: string }): string =>
  text(content, {
    x,
    y,
    'font-size': size,
    'font-weight': 700,
    fill: color,
    stroke: '#000000',
    'stroke-width': 2.6,
    'stroke-linejoin': 'round',
    'paint-order': 'stroke',
  });

function corner(
  boxes: BoxArray,
  i: number,
  dim: Dim,
  zoom: number,
): { left: number; top: number; right: number; bottom: number } {
  const at = i * 2 * dim;
  const [top, left] = [boxes[at + dim - 2]! * zoom, boxes[at + dim - 1]! * zoom];
  return { left, top, right: boxes[at + 2 * dim - 1]! * zoom, bottom: boxes[at + 2 * dim - 2]! * zoom };
}

function rectangle(boxes: BoxArray, i: number, dim: Dim, zoom: number, color: string, strokeWidth: number): string {
  const { left, top, right, bottom } = corner(boxes, i, dim, zoom);
  return element('rect', {
    x: left,
    y: top,
    width: Math.max(0, right - left),
    height: Math.max(0, bottom - top),
    rx: 1.5,
    fill: 'none',
    stroke: color,
    'stroke-width': strokeWidth,
  });
}

/** Indices of the boxes that reach into slice `z`; all of them in 2D. */
function cutBy(boxes: BoxArray, dim: Dim, z: number): number[] {
  const indices = Array.from({ length: numBoxes(boxes, dim, 'plot') }, (_, i) => i);
  return dim === 2 ? indices : indices.filter((i) => boxes[i * 6]! < z + 1 && boxes[i * 6 + 3]! > z);
}

function spread(image: Volume<3>, { groundTruth, detections }: OverlayOptions, count: number): number[] {
  const depth = image.size[0];
  const held = Array.from({ length: depth }, (_, z) => z).filter((z) =>
    [groundTruth, detections].some((item) => item && cutBy(item.boxes, 3, z).length > 0),
  );
  const from = held[0] ?? 0;
  const to = held.at(-1) ?? depth - 1;
  const n = Math.min(count, to - from + 1);
  return Array.from({ length: n }, (_, i) => Math.round(n === 1 ? (from + to) / 2 : from + ((to - from) * (i + 0.5)) / n));
}
