import { join } from 'node:path';
import type { Dim, Volume } from '@mdt/core';
import { evaluateDetections, type Metrics, toCocoResults } from '@mdt/eval-coco';
import { type PredictAllCall, type PredictedCase, type Predictor, predictAll } from '@mdt/predictor';
import type { Dataset } from './data/dataset.js';
import { fileNames, writeFileAtomic } from './files.js';
import { metricsJson } from './metrics-json.js';
import { type CurvePoint, plotPrecisionRecall } from './plot/curves.js';
import { plotImage, plotMontage } from './plot/overlay.js';
import { writePredictions } from './predict/write-predictions.js';
import type { ReportCase } from './report/case-viewer.js';
import { htmlReport } from './report/report.js';
import { writePlot } from './run/run-folder.js';

export interface EvaluationOptions extends PredictAllCall {
  /** Folder for predictions, metrics and plots. */
  out: string;
  /** Default [0.1, 0.5]. */
  iouThresholds?: readonly number[];
  /** Cases whose picture is drawn, the first ones. Default 4. */
  pictures?: number;
  /** Detections below this score are not drawn. Default 0.5. */
  drawnFrom?: number;
  /** Epochs of the training, for the report's curves. */
  training?: readonly CurvePoint[];
}

export interface Evaluation<D extends Dim = Dim> {
  cases: PredictedCase<D>[];
  metrics: Metrics;
  /** Files that were written. */
  files: string[];
}

/**
 * Predicts a data set and judges it: writes `predictions.json`, `predictions.csv`, `coco-results.json`, `metrics.json`, a
 * precision-recall curve, pictures of the first cases, and `report.html`, which shows all of it with a viewer for these cases.
 */
export async function runEvaluation<D extends Dim>(
  predictor: Predictor<D>,
  dataset: Dataset<D>,
  { out, iouThresholds = [0.1, 0.5], pictures = 4, drawnFrom = 0.5, training = [], ...call }: EvaluationOptions,
): Promise<Evaluation<D>> {
  const { classes, dim } = predictor;
  const cases = await predictAll(predictor, dataset, call);
  const metrics = evaluateDetections(cases, { classes, iouThresholds });
  const written = await writePredictions(out, cases, { classes, dim });
  const metricsFile = join(out, 'metrics.json');
  await writeFileAtomic(metricsFile, `${JSON.stringify(metricsJson(cases, metrics), null, 2)}\n`);
  const cocoFile = join(out, 'coco-results.json');
  await writeFileAtomic(cocoFile, `${JSON.stringify(toCocoResults(cases))}\n`);
  const files = [...written, cocoFile, metricsFile];

  const curves = classes.flatMap((name) =>
    iouThresholds.map((threshold) => {
      const { recall, precision } = metrics.perClass[name]!.curve(threshold);
      const label = `${classes.length > 1 ? `${name}, ` : ''}IoU ${threshold}`;
      const ap = metrics.perClass[name]!.apAt(threshold);
      return { name: label, recall, precision, ...(ap !== null && { ap }) };
    }),
  );
  await writePlot(join(out, 'precision-recall'), plotPrecisionRecall(curves, { title: `${dataset.name}: precision and recall` }));
  files.push(join(out, 'precision-recall.png'));

  const viewed: ReportCase[] = [];
  const names = fileNames(cases.map(({ id }) => id));
  for (const [i, { id, detections, groundTruth, segmentation }] of cases.slice(0, pictures).entries()) {
    const { image } = await dataset.load(id);
    viewed.push({ id, image, detections, groundTruth, ...(segmentation && { segmentation }) });
    const options = { groundTruth, detections, classes, minScore: drawnFrom, title: `${dataset.name}: ${id}` };
    const svg = dim === 2 ? plotImage(image as Volume<2>, options) : plotMontage(image as Volume<3>, options);
    const path = join(out, `picture-${names[i]}`);
    await writePlot(path, svg);
    files.push(`${path}.png`);
  }
  const report = join(out, 'report.html');
  const title = `${dataset.name}: evaluation`;
  await writeFileAtomic(report, htmlReport({ title, classes, cases, viewed, iouThresholds, training }));
  files.push(report);
  return { cases, metrics, files };
}
