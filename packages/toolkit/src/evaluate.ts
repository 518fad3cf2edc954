import { join } from 'node:path';
import type { Detections, Dim, GroundTruth, Volume } from '@mdt/core';
import { type EvaluationCase, evaluateDetections, type Metrics } from '@mdt/eval-coco';
import { type ExportedCase, type PredictAllCall, type PredictedCase, type Predictor, predictAll } from '@mdt/predictor';
import type { Dataset } from './data/dataset.js';
import { fileNames, writeFileAtomic } from './files.js';
import { metricsJson } from './metrics-json.js';
import { type CurvePoint, plotPrecisionRecall } from './plot/curves.js';
import { plotImage, plotMontage } from './plot/overlay.js';
import { writePredictions } from './predict/write-predictions.js';
import type { ReportCase } from './report/case-viewer.js';
import { htmlReport } from './report/report.js';
import { writePlot } from './run/run-folder.js';

export interface JudgeOptions {
  /** Folder for predictions, metrics and plots. */
  out: string;
  /** Default [0.1, 0.5]. */
  iouThresholds?: readonly number[];
  /** Cases whose picture is drawn, the first ones. Default 4. */
  pictures?: number;
  /** Detections below this score are not drawn. Default `minScore`, else 0.5. */
  drawnFrom?: number;
  /** An operating point's score threshold: what detections from it on reach goes to `metrics.json` too. */
  minScore?: number;
  /** Epochs of the training, for the report's curves. */
  training?: readonly CurvePoint[];
}

export interface EvaluationOptions extends PredictAllCall, JudgeOptions {}

/** What was found in a case, and what is there. */
export type JudgedCase<D extends Dim = Dim> = Omit<EvaluationCase<D>, 'detections' | 'groundTruth'> &
  Pick<ExportedCase<D>, 'geometry'> &
  Pick<PredictedCase<D>, 'segmentation'> & { detections: Detections<D>; groundTruth: GroundTruth<D> };

export interface Evaluation<C = PredictedCase> {
  cases: C[];
  metrics: Metrics;
  /** Files that were written. */
  files: string[];
}

/**
 * Predicts a data set and judges it: writes `predictions.json`, `predictions.csv`, `coco-results.json`, `metrics.json`, a
 * precision-recall curve, pictures of the first cases, and `report.html`, which shows all of it with a viewer for each case.
 */
export async function runEvaluation<D extends Dim>(
  predictor: Predictor<D>,
  dataset: Dataset<D>,
  options: EvaluationOptions,
): Promise<Evaluation<PredictedCase<D>>> {
  const { classes, dim } = predictor;
  const cases = await predictAll(predictor, dataset, options);
  const image = async (id: string) => (await dataset.load(id)).image;
  return judgeCases(cases as (PredictedCase<D> & JudgedCase<D>)[], { ...options, name: dataset.name, classes, dim, image });
}

/**
 * Judges predictions that are there and writes the same files; without `image`, pictures and viewers of cases are left out.
 */
export async function judgeCases<D extends Dim, C extends JudgedCase<D>>(
  cases: C[],
  options: JudgeOptions & {
    /** Of the data set, for titles. */
    name: string;
    classes: readonly string[];
    dim: D;
    /** Loads the image of a case. */
    image?: (id: string) => Promise<Volume<D>>;
  },
): Promise<Evaluation<C>> {
  const { name, classes, dim, image: load, out } = options;
  const { iouThresholds = [0.1, 0.5], pictures = 4, minScore, drawnFrom = minScore ?? 0.5, training = [] } = options;
  const metrics = evaluateDetections(cases, { classes, iouThresholds });
  const written = await writePredictions(out, cases, { classes, dim, formats: ['json', 'csv', 'coco'] });
  const metricsFile = join(out, 'metrics.json');
  await writeFileAtomic(
    metricsFile,
    `${JSON.stringify(metricsJson(cases, metrics, { ...(minScore !== undefined && { minScore }) }), null, 2)}\n`,
  );
  const files = [...written, metricsFile];

  const curves = classes.flatMap((label) =>
    iouThresholds.map((threshold) => {
      const { recall, precision } = metrics.perClass[label]!.curve(threshold);
      const title = `${classes.length > 1 ? `${label}, ` : ''}IoU ${threshold}`;
      const ap = metrics.perClass[label]!.apAt(threshold);
      return { name: title, recall, precision, ...(ap !== null && { ap }) };
    }),
  );
  await writePlot(join(out, 'precision-recall'), plotPrecisionRecall(curves, { title: `${name}: precision and recall` }));
  files.push(join(out, 'precision-recall.png'));

  const names = fileNames(cases.map(({ id }) => id));
  for (const [i, { id, detections, groundTruth }] of cases.slice(0, load ? pictures : 0).entries()) {
    const image = await load!(id);
    const options = { groundTruth, detections, classes, minScore: drawnFrom, title: `${name}: ${id}` };
    const svg = dim === 2 ? plotImage(image as Volume<2>, options) : plotMontage(image as Volume<3>, options);
    const path = join(out, `picture-${names[i]}`);
    await writePlot(path, svg);
    files.push(`${path}.png`);
  }
  async function* viewed(): AsyncGenerator<ReportCase> {
    if (!load) return;
    for (const { id, detections, groundTruth, segmentation } of cases) {
      yield { id, image: await load(id), detections, groundTruth, ...(segmentation && { segmentation }) };
    }
  }
  const report = join(out, 'report.html');
  const title = `${name}: evaluation`;
  await writeFileAtomic(report, await htmlReport({ title, classes, cases, viewed: viewed(), iouThresholds, training }));
  files.push(report);
  return { cases, metrics, files };
}
