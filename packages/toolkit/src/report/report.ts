import {
  bestF1,
  bootstrapAll,
  type EvaluationCase,
  evaluateDetections,
  evaluatePatients,
  explain,
  froc,
  frocRates,
  type Interval,
  scanScores,
} from '@mdt/eval-coco';
import { type ChartOptions, chart, type Series } from '../plot/chart.js';
import { type CurvePoint, plotTraining } from '../plot/curves.js';
import { document, escapeXml, theme } from '../plot/svg.js';
import { caseViewer, type ReportCase } from './case-viewer.js';
import { confusion, intervalText, table } from './tables.js';
import { viewerScript } from './viewer-script.js';

export interface ReportOptions {
  title: string;
  classes: readonly string[];
  /** All cases that were judged; the numbers rest on these. */
  cases: readonly EvaluationCase[];
  /** Cases with their images, to look at. */
  viewed?: Iterable<ReportCase>;
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
 * `viewed`, with slices, ground truth, detections, a score slider and the segmentation.
 */
export function htmlReport(options: ReportOptions): string {
  const { title, classes, cases, viewed = [], iouThresholds = [0.1, 0.5], training = [], resamples = 200, seed = 0 } = options;
  const draws = { resamples, seed };
  const iouThreshold = iouThresholds[0]!;
  const metrics = evaluateDetections(cases, { classes, iouThresholds, maxDetections: Infinity });
  const best = bestF1(scanScores(metrics, { iouThreshold }).pooled);
  const minScore = best?.minScore ?? 0.5;
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
      ...iouThresholds.map((_, t) => intervalText(aps[k * iouThresholds.length + t]!)),
      `${name === undefined ? sum(classes.map((c) => metrics.perClass[c]!.numObjects)) : metrics.perClass[name]!.numObjects}`,
      `${name === undefined ? sum(classes.map((c) => metrics.perClass[c]!.numDetections)) : metrics.perClass[name]!.numDetections}`,
    ]),
  ]);

  const curves = [
    svg({
      title: `Precision and recall at IoU ${iouThreshold}, dashed: 95 %`,
      series: classes.flatMap((name, k): Series[] => {
        const { recall, precision } = metrics.perClass[name]!.curve(iouThreshold);
        const one = (m: typeof metrics) =>
          levels
            .map((level) => m.precision[Math.round(100 * level) * classes.length + k]!)
            .map((v) => (Number.isNaN(v) ? null : v));
        return [
          { name, x: recall, y: precision, dots: false, color: colorOf(k) },
          ...band(bootstrapAll(metrics, one, draws), colorOf(k)),
        ];
      }),
      xLabel: 'recall',
      yLabel: 'precision',
      xRange: [0, 1],
      yRange: [0, 1.02],
      legend: true,
    }),
    svg(frocChart()),
    svg({
      title: 'ROC, patients, dashed: 95 %',
      series: classes.flatMap((name, k): Series[] => {
        const { roc, auc } = patients.perClass[name]!;
        if (auc === null) return [];
        const one = (m: typeof patients) => {
          const { auc: drawn, roc: curve } = m.perClass[name]!;
          return levels.map((rate) => (drawn === null ? null : heightAt(curve, rate)));
        };
        return [
          { name, x: roc.falsePositiveRate, y: roc.truePositiveRate, dots: false, color: colorOf(k) },
          ...band(bootstrapAll(patients, one, draws), colorOf(k)),
        ];
      }),
      xLabel: 'false positive rate',
      yLabel: 'true positive rate',
      xRange: [0, 1],
      yRange: [0, 1.02],
      legend: true,
    }),
    ...classes.map((name) => svg(histogram(name))),
  ];

  function frocChart(): ChartOptions {
    const at = (m: typeof metrics) => froc(m, { iouThreshold }).pooled.atRates;
    const intervals = bootstrapAll(metrics, at, draws);
    const x = frocRates.map(Math.log2);
    const line = (name: string, pick: (i: (typeof intervals)[number]) => number | null, dashed: boolean): Series => ({
      name,
      x,
      y: intervals.map((interval) => pick(interval) ?? Number.NaN),
      dashed,
      color: theme.series[0],
    });
    return {
      title: `FROC at IoU ${iouThreshold}, all classes, dashed: 95 %`,
      series: [
        line('sensitivity', ({ value }) => value, false),
        line('', ({ low }) => low, true),
        line('', ({ high }) => high, true),
      ],
      xLabel: 'false positives per case, log2 (−3 is 1/8, 3 is 8)',
      yLabel: 'sensitivity',
      yRange: [0, 1.02],
      legend: true,
    };
  }

  function histogram(name: string): ChartOptions {
    const rows = explain(cases, { classes, iouThresholds: [iouThreshold], maxDetections: Infinity });
    const bins = 20;
    const count = (type: string) => {
      const counts = new Array<number>(bins).fill(0);
      for (const row of rows) {
        if (row.className === name && row.type === type) counts[Math.min(bins - 1, Math.max(0, Math.floor(row.score * bins)))]!++;
      }
      return counts;
    };
    const steps = (counts: readonly number[]) => ({
      x: counts.flatMap((_, i) => [i / bins, (i + 1) / bins]),
      y: counts.flatMap((c) => [c, c]),
    });
    const [hit, wrong, missed] = [count('tp'), count('fp'), count('fn')];
    return {
      title: `Scores, ${name}: ${sum(hit)} true, ${sum(wrong)} false, ${sum(missed)} missed (at 0)`,
      series: [
        { name: 'true', ...steps(hit), dots: false, color: theme.series[2] },
        { name: 'false', ...steps(wrong), dots: false, color: theme.series[1] },
        { name: 'missed', ...steps(missed), dots: false, color: theme.series[3] },
      ],
      xLabel: 'score',
      yLabel: 'count',
      xRange: [0, 1],
      legend: true,
    };
  }

  const patientTable = table([
    ['class', 'AUC', 'AP', 'patients with', 'without'],
    ...classes.map((name) => {
      const intervals = bootstrapAll(patients, (m) => [m.perClass[name]!.auc, m.perClass[name]!.ap], draws);
      const { numPositive, numNegative, undefinedBecause } = patients.perClass[name]!;
      const shown = (i: number, key: string) =>
        intervals[i]!.value === null ? `– (${undefinedBecause[key]})` : intervalText(intervals[i]!);
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
  const viewers = Array.from(viewed, (item) => caseViewer(item, { classes, minScore }));

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
<p>${cases.length} cases, ${metrics.patients.length} patients. Intervals are 95 % of ${resamples} bootstrap draws of patients.
${best ? `Best F1 at IoU ${iouThreshold}: ${best.f1!.toFixed(3)} with scores from ${best.minScore}.` : ''}</p>
<h2>Objects</h2>
${apTable}
<h2>Patients</h2>
${patientTable}
<h2>Curves</h2>
<div class="charts">${curves.join('\n')}</div>
<h2>Confusion, scores above ${minScore}, IoU from ${iouThreshold}</h2>
${confusionTable}
${training.length > 0 ? `<h2>Training</h2>\n${plotTraining(training)}` : ''}
${viewers.length > 0 ? `<h2>Cases</h2>\n<div class="viewers">${viewers.join('\n')}</div>` : ''}
<script>${viewerScript}</script>
</body>
</html>
`;
}

/** Where bands are drawn: recall, or false positive rate. */
const levels: readonly number[] = Array.from({ length: 11 }, (_, i) => i / 10);

const colorOf = (k: number): string => theme.series[k % theme.series.length]!;

/** Lower and upper ends of intervals at `levels`, without names in the legend. */
function band(intervals: readonly Interval[], color: string): Series[] {
  return [intervals.map(({ low }) => low), intervals.map(({ high }) => high)].map((ends) => {
    const kept = ends.flatMap((value, i) => (value === null ? [] : [i]));
    return { name: '', x: kept.map((i) => levels[i]!), y: kept.map((i) => ends[i]!), dashed: true, dots: false, color };
  });
}

/** True positive rate of the ROC at a false positive rate, along straight lines. */
function heightAt({ falsePositiveRate: x, truePositiveRate: y }: Roc, rate: number): number {
  const next = x.findIndex((value) => value > rate);
  if (next < 0) return y.at(-1)!;
  const share = (rate - x[next - 1]!) / (x[next]! - x[next - 1]!);
  return y[next - 1]! + share * (y[next]! - y[next - 1]!);
}

interface Roc {
  readonly falsePositiveRate: Float64Array;
  readonly truePositiveRate: Float64Array;
}

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);

const svg = (options: ChartOptions): string => document(560, 340, chart(options, { left: 0, top: 0, width: 560, height: 340 }));

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
.controls label { margin-right: 1em; }
.controls output { display: block; color: ${theme.muted}; }
`;
