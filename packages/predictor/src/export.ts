import { axisNames, type Detections, type Dim, rows, toPhysical } from '@mdt/core';
import type { Geometry } from './predict-all.js';

/** Detections of one image and where it lies in space. */
export interface ExportedCase<D extends Dim = Dim> {
  readonly id: string;
  readonly detections: Detections<D>;
  readonly geometry: Geometry<D>;
}

/**
 * Predictions as a JSON text: per case its size, spacing and origin, and per detection `box` (voxels, `[min…, max…]` in array
 * order, half-open), `boxMm`, `score`, `label` and `class`. `boxMm` are the millimetres of the box's first and last corner, origin and direction of the image
 * applied (`toPhysical` of `@mdt/core`).
 */
export function predictionsJson(cases: readonly ExportedCase[], { classes }: { classes: readonly string[] }): string {
  const content = {
    format: 'mdt-predictions',
    version: 1,
    classes,
    cases: cases.map(({ id, detections, geometry }) => {
      const { size, spacing, origin, direction } = geometry;
      const detected = rows(detections).map(({ box, score, label }) => ({
        box: box.map(rounded),
        boxMm: Array.from(toPhysical(box, geometry), rounded),
        score: rounded(score),
        label,
        class: classes[label] ?? null,
      }));
      return { id, size, spacing, origin, ...(direction && { direction }), detections: detected };
    }),
  };
  return `${JSON.stringify(content, null, 1)}\n`;
}

/** Six significant decimals: more than a float32 holds, without its noise. */
const rounded = (value: number): number => Number(value.toFixed(6));

/**
 * Predictions as CSV (RFC 4180), one line per detection: case, class, label, score, box in voxels (`y1, x1, y2, x2`, or from `z1`),
 * box in millimetres.
 */
export function predictionsCsv(
  cases: readonly ExportedCase[],
  { classes, dim }: { classes: readonly string[]; dim: Dim },
): string {
  const corners = [1, 2].flatMap((end) => axisNames[dim].map((axis) => `${axis}${end}`));
  const header = ['case', 'class', 'label', 'score', ...corners, ...corners.map((name) => `${name}_mm`)];
  const lines = [header.join(',')];
  for (const { id, detections, geometry } of cases) {
    for (const { box, score, label } of rows(detections)) {
      const mm = toPhysical(box, geometry);
      const numbers = [label, rounded(score), ...box.map(rounded), ...Array.from(mm, rounded)];
      lines.push([csvText(id), csvText(classes[label] ?? ''), ...numbers].join(','));
    }
  }
  return `${lines.join('\r\n')}\r\n`;
}

/** A quoted text. One that a spreadsheet would run as a formula gets an apostrophe in front. */
export function csvText(value: string): string {
  const harmless = /^[=+\-@\p{Cc}]/u.test(value) ? `'${value}` : value;
  return `"${harmless.replaceAll('"', '""')}"`;
}
