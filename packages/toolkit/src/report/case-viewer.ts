import { type Detections, type Dim, type GroundTruth, rows, type Volume } from '@mdt/core';
import type { Segmentation } from '@mdt/predictor';
import { contrastWindow, pictureOf } from '../plot/image.js';
import { dataUri, encodePng } from '../plot/png.js';
import { escapeXml, theme } from '../plot/svg.js';

/** One patient of a report. */
export interface ReportCase<D extends Dim = Dim> {
  readonly id: string;
  readonly image: Volume<D>;
  readonly detections: Detections<D>;
  readonly groundTruth: GroundTruth<D>;
  readonly segmentation?: Segmentation<D>;
}

/** A viewer for one patient: its slices as pictures within the page, and what the page's script needs. */
export function caseViewer(
  { id, image, detections, groundTruth, segmentation }: ReportCase,
  { classes, minScore }: { classes: readonly string[]; minScore: number },
): string {
  const [height, width] = Array.from(image.size).slice(-2) as [number, number];
  const depth = image.dim === 3 ? image.size[0]! : 1;
  const window = contrastWindow(image);
  const slices = Array.from({ length: depth }, (_, z) => {
    const { pixels, channels } = pictureOf(image, z, window);
    return dataUri(encodePng(pixels, width, height, channels));
  });
  const overlay = segmentation && Array.from({ length: depth }, (_, z) => segmentationSlice(segmentation, z, width, height));
  const round = (box: readonly number[]) => box.map((v) => Math.round(v * 100) / 100);
  const truthRows = rows({ ...groundTruth, scores: new Float32Array(groundTruth.labels.length) });
  const found = rows(detections).map(({ box, score, label }) => ({ box: round(box), score, name: classes[label] ?? `${label}` }));
  const data = {
    width,
    height,
    slices,
    ...(overlay && { segmentation: overlay }),
    truth: truthRows.map(({ box, label }) => ({ box: round(box), score: 1, name: classes[label] ?? `${label}` })),
    detections: found,
    colors: { truth: theme.groundTruth, found: theme.detection },
  };
  const first = truthRows[0] ?? rows(detections)[0];
  const middle = image.dim === 3 ? (first ? Math.floor((first.box[0]! + first.box[3]!) / 2) : Math.floor(depth / 2)) : 0;
  const box = (role: string, label: string) =>
    `<label><input type="checkbox" data-role="${role}" checked> <span class="${role}">${label}</span></label>`;
  // '<' is written so that no text of the data can end the script element.
  const json = JSON.stringify(data).replaceAll('<', '\\u003c');
  return `<figure class="viewer" id="case-${escapeXml(id)}">
<figcaption>${escapeXml(id)}</figcaption>
<canvas${depth > 1 ? ' title="the mouse wheel turns slices"' : ''}></canvas>
<div class="controls">
<label${depth === 1 ? ' hidden' : ''}>slice <input type="range" data-role="slice" min="0" max="${depth - 1}" value="${Math.max(0, Math.min(depth - 1, middle))}"></label>
<label>score from <input type="range" data-role="score" min="0" max="1" step="0.01" value="${minScore}"></label>
${box('truth', 'ground truth')} ${box('found', 'detections')} ${overlay ? box('map', 'segmentation') : ''}
<output data-role="state"></output>
</div>
<script type="application/json">${json}</script>
</figure>`;
}

/** Foreground probability of a slice as a picture that is clear where there is none. */
function segmentationSlice({ classes, data }: Segmentation<Dim>, z: number, width: number, height: number): string {
  const area = width * height;
  const pixels = new Uint8Array(area * 4);
  const color = [0xcc, 0x33, 0x99];
  for (let i = 0; i < area; i++) {
    const foreground = 1 - data[(z * area + i) * classes]!;
    for (let c = 0; c < 3; c++) pixels[4 * i + c] = color[c]!;
    pixels[4 * i + 3] = Math.round(140 * Math.min(1, Math.max(0, foreground)));
  }
  return dataUri(encodePng(pixels, width, height, 4));
}
