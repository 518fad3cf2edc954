import { type ChartOptions, chart, type Mark, type Series } from './chart.js';
import { document, element, theme } from './svg.js';

/** What the training plot needs to know of an epoch; `EpochReport` of `train` fits. */
export interface CurvePoint {
  readonly index: number;
  readonly losses: Readonly<Record<string, number>>;
  /** Validation metrics; absent or empty for epochs that were not validated. */
  readonly metrics?: Readonly<Record<string, number>>;
}

const size = { width: 860, panel: 320, gap: 12, margin: 14 };

/** Line charts below each other, as one SVG document. */
export function plotCharts(panels: readonly ChartOptions[]): string {
  const height = size.margin * 2 + panels.length * size.panel + (panels.length - 1) * size.gap;
  return document(
    size.width,
    height,
    element('rect', { width: size.width, height, fill: theme.paper }),
    ...panels.map((options, i) =>
      chart(options, {
        left: size.margin,
        top: size.margin + i * (size.panel + size.gap),
        width: size.width - 2 * size.margin,
        height: size.panel,
      }),
    ),
  );
}

/** `ap`, `ap@0.5`, `ap:class` and `patient_ap:class`, as validation names them, for people. */
const nameOf = (key: string): string =>
  key === 'ap'
    ? 'AP, mean'
    : key
        .replace(/^ap@/, 'AP at IoU ')
        .replace(/^ap:/, 'AP, ')
        .replace(/^patient_ap:/, 'AP of patients, ');

/** `loss` and `loss:part`, as validation names them, by the names of the training's; undefined for other metrics. */
const lossOf = (key: string): string | undefined => (key === 'loss' ? 'total' : /^loss:(.*)/.exec(key)?.[1]);

/** One series per key that occurs in any of the records, in order of first appearance. */
function seriesOf(epochs: readonly CurvePoint[], pick: (epoch: CurvePoint) => Readonly<Record<string, number>>): Series[] {
  const names = [...new Set(epochs.flatMap((epoch) => Object.keys(pick(epoch))))];
  return names.map((name) => {
    const seen = epochs.filter((epoch) => Object.hasOwn(pick(epoch), name));
    return { name: nameOf(name), x: seen.map((epoch) => epoch.index), y: seen.map((epoch) => pick(epoch)[name]!) };
  });
}

/**
 * Loss with its parts (logarithmic) above, of the training and, dashed, of the validation; validation metrics below, over epochs: an SVG
 * document.
 */
export function plotTraining(
  epochs: readonly CurvePoint[],
  { title = 'Training', best }: { title?: string /** Metric whose best epoch gets a ring. */; best?: string } = {},
): string {
  const trained = seriesOf(epochs, (epoch) => epoch.losses);
  const colors = new Map(
    trained.map(({ name }, i) => [name, name === 'total' ? theme.ink : theme.series[i % theme.series.length]!]),
  );
  const colored = (s: Series): Series => ({ ...s, color: colors.get(s.name) ?? theme.muted });
  const picked = (isLoss: boolean) => (epoch: CurvePoint) =>
    Object.fromEntries(Object.entries(epoch.metrics ?? {}).filter(([key]) => (lossOf(key) !== undefined) === isLoss));
  const validated = seriesOf(epochs, picked(true)).map((s) => colored({ ...s, name: lossOf(s.name)!, dashed: true }));
  const losses = [...trained.map(colored), ...validated.map((s) => ({ ...s, name: `${s.name}, validation` }))];
  const metrics = seriesOf(epochs, picked(false));
  const marks: Mark[] = [];
  const chosen = metrics.find((s) => best !== undefined && s.name === nameOf(best));
  if (chosen && chosen.y.length > 0) {
    const values = Array.from(chosen.y);
    const top = values.indexOf(Math.max(...values));
    if (top >= 0)
      marks.push({ x: chosen.x[top]!, y: values[top]!, label: `${values[top]!.toFixed(3)} at epoch ${chosen.x[top]}` });
  }
  const panels: ChartOptions[] = [
    { title: `${title}: loss`, series: losses, xLabel: 'epoch', yLabel: 'loss', logY: true, integerX: true, legend: true },
  ];
  if (metrics.length > 0) {
    panels.push({
      title: `${title}: validation`,
      series: metrics,
      xLabel: 'epoch',
      yLabel: 'score',
      yRange: [0, 1.02],
      xRange: panels[0] ? xRange(epochs) : [0, 1],
      integerX: true,
      legend: true,
      marks,
    });
    panels[0] = { ...panels[0]!, xRange: xRange(epochs) };
  }
  return plotCharts(panels);
}

function xRange(epochs: readonly CurvePoint[]): [number, number] {
  const indices = epochs.map((epoch) => epoch.index);
  const low = Math.min(...indices);
  return [low, Math.max(low + 1, ...indices)];
}

export interface PrecisionRecallCurve {
  name: string;
  recall: ArrayLike<number>;
  precision: ArrayLike<number>;
  /** Average precision, shown behind the name. */
  ap?: number;
}

/** Precision over recall, one line per curve: an SVG document. */
export function plotPrecisionRecall(
  curves: readonly PrecisionRecallCurve[],
  { title = 'Precision and recall' }: { title?: string } = {},
): string {
  return plotCharts([
    {
      title,
      series: curves.map(({ name, recall, precision, ap }) => ({
        name: ap === undefined ? name : `${name}: AP ${ap.toFixed(3)}`,
        x: recall,
        y: precision,
        dots: false,
      })),
      xLabel: 'recall',
      yLabel: 'precision',
      xRange: [0, 1],
      yRange: [0, 1.02],
      legend: true,
    },
  ]);
}
