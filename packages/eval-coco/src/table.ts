import type { Metrics } from './metrics.js';
import type { PatientMetrics } from './patient.js';
import type { Defined } from './undefined.js';

/** Object-level metrics as text: a row per class and threshold, then the means over the classes that have objects. */
export function formatTable(metrics: Metrics): string {
  const { classes, iouThresholds, perClass } = metrics;
  const rows = [['class', 'IoU', 'AP', 'AR', 'objects', 'detections']];
  for (const name of classes) {
    const entry = perClass[name]!;
    for (const t of iouThresholds) {
      rows.push([
        name,
        threshold(t),
        share(entry.apAt(t)),
        share(entry.arAt(t)),
        `${entry.numObjects}`,
        `${entry.numDetections}`,
      ]);
    }
  }
  const objects = classes.reduce((sum, name) => sum + perClass[name]!.numObjects, 0);
  const detections = classes.reduce((sum, name) => sum + perClass[name]!.numDetections, 0);
  const mean = `mean of ${metrics.numClassesWithObjects}`;
  for (const t of iouThresholds) {
    rows.push([mean, threshold(t), share(metrics.apAt(t)), share(metrics.arAt(t)), `${objects}`, `${detections}`]);
  }
  if (iouThresholds.length > 1) rows.push([mean, 'all', share(metrics.ap), share(metrics.ar), `${objects}`, `${detections}`]);
  return align(rows);
}

/** Patient-level metrics as text: a row per class. */
export function formatPatientTable({ classes, perClass, auc, ap }: PatientMetrics): string {
  const rows = [['class', 'AUC', 'AP', 'positive', 'negative']];
  for (const name of classes) {
    const entry = perClass[name]!;
    rows.push([name, share(entry.auc), share(entry.ap), `${entry.numPositive}`, `${entry.numNegative}`]);
  }
  if (classes.length > 1) rows.push(['mean', share(auc), share(ap), '', '']);
  return align(rows);
}

/** Two decimals where they say it all. */
const threshold = (t: number): string => (Math.abs(t * 100 - Math.round(t * 100)) < 1e-6 ? t.toFixed(2) : String(t));
const share = (value: Defined): string => (value === null ? '-' : value.toFixed(3));

/** Columns of equal width: the first to the left, numbers to the right. */
export function align(rows: readonly (readonly string[])[]): string {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  return rows
    .map((row) =>
      row
        .map((cell, column) => (column === 0 ? cell.padEnd(widths[0]!) : cell.padStart(widths[column]!)))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}
