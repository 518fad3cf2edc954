import { bestF1, bootstrapAll, type EvaluationCase, evaluateDetections, evaluatePatients, scanScores } from '@mdt/eval-coco';
import { type CurvePoint, plotTraining } from '../plot/curves.js';
import { escapeXml, theme } from '../plot/svg.js';
import { caseViewer, type ReportCase } from './case-viewer.js';
import { reportCharts } from './charts.js';
import { confusion, intervalText, table } from './tables.js';
import { viewerScript } from './viewer-script.js';

export interface ReportOptions {
  title: string;
  classes: readonly string[];
  /** All cases that were judged; the numbers rest on these. */
  cases: readonly EvaluationCase[];
  /** Cases with their images, to look at; taken one by one until the page is full. */
  viewed?: Iterable<ReportCase> | AsyncIterable<ReportCase>;
  /** Most characters that viewers may add to the page; at least one is shown. Default 32 Mi. */
  viewerLimit?: number;
  /** Default [0.1, 0.5]; curves are drawn at the first. */
  iouThresholds?: readonly number[];
  /** Epochs of the training, for its curves. */
  training?: readonly CurvePoint[];
  /** Draws of the bootstrap. Default 200. */
  resamples?: number;
  /** The same seed gives the same intervals. Default 0. */
  seed?: number;
}

/**
 * A report as one HTML page that needs nothing else: training curves; AP for each class and IoU, precision-recall, ROC and FROC with
 * bootstrap intervals over patients; how scores spread over true, false and missed; a confusion table; and a viewer for each case in
 * `viewed`, with slices, ground truth, detections, a score slider and the segmentation, as many as the page may hold.
 */
export async function htmlReport(options: ReportOptions): Promise<string> {
  const { title, classes, cases, viewed = [], iouThresholds = [0.1, 0.5], training = [], resamples = 200, seed = 0 } = options;
  const { viewerLimit = 2 ** 25 } = options;
  const draws = { resamples, seed };
  const iouThreshold = iouThresholds[0]!;
  const metrics = evaluateDetections(cases, { classes, iouThresholds, maxDetections: Infinity });
  const best = bestF1(scanScores(metrics, { iouThreshold }).pooled);
  const minScore = best?.f1 ? best.minScore : 0; // where nothing was hit, all that was found is shown
  const patients = evaluatePatients(cases, { classes });

  const places = [...classes, undefined].flatMap((name) => iouThresholds.map((t) => ({ name, t })));
  const aps = bootstrapAll(
    metrics,
    (m) => places.map(({ name, t }) => (name === undefined ? m : m.perClass[name]!).apAt(t)),
    draws,
  );
  const apTable = table([
    ['class', ...iouThresholds.map((t) => `AP at IoU ${t}`), 'objects', 'detections'],
    ...[...classes, undefined].map((name, k) => [
      name ?? 'mean',
      ...iouThresholds.map((_, t) => {
        const { undefinedBecause } = name === undefined ? metrics : metrics.perClass[name]!;
        return intervalText(aps[k * iouThresholds.length + t]!, undefinedBecause.ap);
      }),
      `${name === undefined ? sum(classes.map((c) => metrics.perClass[c]!.numObjects)) : metrics.perClass[name]!.numObjects}`,
      `${name === undefined ? sum(classes.map((c) => metrics.perClass[c]!.numDetections)) : metrics.perClass[name]!.numDetections}`,
    ]),
  ]);

  const curves = reportCharts({ cases, classes, metrics, patients, iouThreshold, draws });
  const patientTable = table([
    ['class', 'AUC', 'AP', 'patients with', 'without'],
    ...classes.map((name) => {
      const intervals = bootstrapAll(patients, (m) => [m.perClass[name]!.auc, m.perClass[name]!.ap], draws);
      const { numPositive, numNegative, undefinedBecause } = patients.perClass[name]!;
      const shown = (i: number, key: string) => intervalText(intervals[i]!, undefinedBecause[key]);
      return [name, shown(0, 'auc'), shown(1, 'ap'), `${numPositive}`, `${numNegative}`];
    }),
  ]);
  const counts = confusion(cases, { classes, iouThreshold, minScore });
  const confusionTable = table([
    ['object \\ detection', ...classes, 'missed'],
    ...[...classes, 'no object'].map((name, row) => [
      name,
      ...counts[row]!.map((c, column) => (row === classes.length && column === row ? '' : `${c}`)),
    ]),
  ]);
  const viewers: string[] = [];
  let length = 0;
  let isFull = false;
  for await (const item of viewed) {
    const viewer = caseViewer(item, { classes, minScore });
    length += viewer.length;
    isFull = viewers.length > 0 && length > viewerLimit;
    if (isFull) break;
    viewers.push(viewer);
  }
  const viewersNote = isFull
    ? `<p>The first ${viewers.length} of ${cases.length} cases: with more the page would be too large.</p>\n`
    : '';

  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escapeXml(title)}</title>
<style>${style}</style>
</head>
<body>
<h1>${escapeXml(title)}</h1>
<p>${counted(cases.length, 'case')}, ${counted(metrics.patients.length, 'patient')}. Intervals are 95 % of ${resamples} bootstrap draws of patients.
${best?.f1 ? `Best F1 at IoU ${iouThreshold}: ${best.f1.toFixed(3)} with scores from ${minScore} on.` : ''}</p>
<h2>Objects</h2>
${apTable}
<h2>Patients</h2>
${patientTable}
<h2>Curves</h2>
<p>Tinted: the 95 % intervals. True, false and missed count at IoU ${iouThreshold}.</p>
<div class="charts">${curves.join('\n')}</div>
<h2>Confusion, scores from ${minScore} on, IoU from ${iouThreshold}</h2>
${confusionTable}
${training.length > 0 ? `<h2>Training</h2>\n${plotTraining(training)}` : ''}
${viewers.length > 0 ? `<h2>Cases</h2>\n${viewersNote}<div class="viewers">${viewers.join('\n')}</div>` : ''}
<script>${viewerScript}</script>
</body>
</html>
`;
}

const counted = (count: number, what: string): string => `${count} ${what}${count === 1 ? '' : 's'}`;

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);

const style = `
body { font: 15px/1.5 ${theme.font}; color: ${theme.ink}; max-width: 1180px; margin: 2em auto; padding: 0 1em; }
h2 { margin-top: 1.8em; border-bottom: 1px solid ${theme.grid}; }
table { border-collapse: collapse; }
th, td { padding: 4px 14px; text-align: right; border-bottom: 1px solid ${theme.grid}; }
th:first-child, td:first-child { text-align: left; }
.charts, .viewers { display: flex; flex-wrap: wrap; gap: 20px; }
figure { margin: 0; max-width: 540px; }
figcaption { font-weight: bold; }
canvas { background: #000; max-width: 100%; }
.controls label { margin-right: 1em; white-space: nowrap; display: inline-block; }
.controls input[type=range] { vertical-align: middle; }
.truth { border-bottom: 2px dashed ${theme.groundTruth}; }
.found { border-bottom: 2px solid ${theme.detection}; }
.map { border-bottom: 2px solid #cc3399; }
.controls output { display: block; color: ${theme.muted}; }
`;
