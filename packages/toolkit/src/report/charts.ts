import {
  bootstrapAll,
  type EvaluationCase,
  explain,
  type Froc,
  froc,
  frocRates,
  type Interval,
  type Metrics,
  type PatientMetrics,
} from '@mdt/eval-coco';
import { type Band, type ChartOptions, chart, type Series } from '../plot/chart.js';
import { document, theme } from '../plot/svg.js';

export interface ReportChartsInput {
  cases: readonly EvaluationCase[];
  classes: readonly string[];
  metrics: Metrics;
  patients: PatientMetrics;
  iouThreshold: number;
  /** Of the bootstrap. */
  draws: { resamples: number; seed: number };
}

/** Curves with their intervals over patients, and how scores spread: one SVG document each. */
export function reportCharts(input: ReportChartsInput): string[] {
  return [precisionRecall(input), frocChart(input), roc(input), ...histograms(input)].map((options) =>
    document(560, 340, chart(options, { left: 0, top: 0, width: 560, height: 340 })),
  );
}

/** Where intervals of curves are taken: recall, or false positive rate. */
const levels: readonly number[] = Array.from({ length: 11 }, (_, i) => i / 10);

const colorOf = (k: number): string => theme.series[k % theme.series.length]!;

/** The intervals at `x` that there are, as an area. */
function band(x: readonly number[], intervals: readonly Interval[], color: string): Band {
  const ends = (pick: (interval: Interval) => number | null) => intervals.map((interval) => pick(interval) ?? Number.NaN);
  return { x, low: ends(({ low }) => low), high: ends(({ high }) => high), color };
}

function precisionRecall({ classes, metrics, iouThreshold, draws }: ReportChartsInput): ChartOptions {
  const t = metrics.iouThresholds.indexOf(iouThreshold);
  const limits = metrics.maxDetections.length * Object.keys(metrics.areaRanges).length;
  const at = (m: Metrics, k: number) =>
    levels
      .map((level) => m.precision[((t * 101 + Math.round(100 * level)) * classes.length + k) * limits]!)
      .map((v) => (Number.isNaN(v) ? null : v));
  return {
    title: `Precision and recall at IoU ${iouThreshold}`,
    series: classes.map((name, k): Series => {
      const { recall, precision } = metrics.perClass[name]!.curve(iouThreshold);
      return { name, x: recall, y: precision, dots: false, color: colorOf(k) };
    }),
    bands: classes.map((_, k) =>
      band(
        levels,
        bootstrapAll(metrics, (m) => at(m, k), draws),
        colorOf(k),
      ),
    ),
    xLabel: 'recall',
    yLabel: 'precision',
    xRange: [0, 1],
    yRange: [0, 1.02],
    legend: true,
  };
}

/** All classes in one, and each by itself where there are several. */
function frocChart({ classes, metrics, iouThreshold, draws }: ReportChartsInput): ChartOptions {
  const several = classes.length > 1;
  const curves = (m: Froc) => [...classes.map((name) => m.perClass[name]!), m.pooled].slice(several ? 0 : -1);
  const names = [...classes, 'all classes'].slice(several ? 0 : -1);
  const all = bootstrapAll(metrics, (m) => curves(froc(m, { iouThreshold })).flatMap(({ atRates }) => atRates), draws);
  const x = frocRates.map(Math.log2);
  const own = (k: number) => all.slice(k * x.length, (k + 1) * x.length);
  const color = (k: number) => (k === names.length - 1 && several ? theme.ink : colorOf(k));
  return {
    title: `FROC at IoU ${iouThreshold}`,
    series: names.map(
      (name, k): Series => ({
        name: several ? name : 'sensitivity',
        x,
        y: own(k).map(({ value }) => value ?? Number.NaN),
        color: color(k),
      }),
    ),
    bands: names.map((_, k) => band(x, own(k), color(k))),
    xLabel: 'false positives per case',
    yLabel: 'sensitivity',
    xTicks: x.map((at) => ({ at, label: at < 0 ? `1/${2 ** -at}` : `${2 ** at}` })),
    yRange: [0, 1.02],
    legend: true,
  };
}

function roc({ classes, patients, draws }: ReportChartsInput): ChartOptions {
  const defined = classes.map((name, k) => ({ name, k })).filter(({ name }) => patients.perClass[name]!.auc !== null);
  const at = (m: PatientMetrics, name: string) => {
    const { auc, roc: curve } = m.perClass[name]!;
    return levels.map((rate) => (auc === null ? null : heightAt(curve, rate)));
  };
  return {
    title: 'ROC, patients',
    series: defined.map(({ name, k }): Series => {
      const { falsePositiveRate, truePositiveRate } = patients.perClass[name]!.roc;
      return { name, x: falsePositiveRate, y: truePositiveRate, dots: false, color: colorOf(k) };
    }),
    bands: defined.map(({ name, k }) =>
      band(
        levels,
        bootstrapAll(patients, (m) => at(m, name), draws),
        colorOf(k),
      ),
    ),
    xLabel: 'false positive rate',
    yLabel: 'true positive rate',
    xRange: [0, 1],
    yRange: [0, 1.02],
    legend: true,
  };
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

/** Per class the scores of true and false detections; missed objects stand at 0. */
function histograms({ cases, classes, iouThreshold }: ReportChartsInput): ChartOptions[] {
  const rows = explain(cases, { classes, iouThresholds: [iouThreshold], maxDetections: Infinity });
  const bins = 20;
  return classes.map((name) => {
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
      dots: false,
      filled: true,
    });
    const [hit, wrong, missed] = [count('tp'), count('fp'), count('fn')];
    const sum = (counts: readonly number[]) => counts.reduce((total, c) => total + c, 0);
    return {
      title: `Scores, ${name}: ${sum(hit)} true, ${sum(wrong)} false, ${sum(missed)} missed (at 0)`,
      series: [
        { name: 'true', ...steps(hit), color: theme.series[2] },
        { name: 'false', ...steps(wrong), color: theme.series[1] },
        { name: 'missed', ...steps(missed), color: theme.series[3] },
      ],
      xLabel: 'score',
      yLabel: 'count',
      xRange: [0, 1],
      legend: true,
    };
  });
}
