import { readFileSync } from 'node:fs';
import { type Dim, fromMdtBoxes } from '@mdt/core';
import { type EvaluationCase, evaluateDetections, evaluatePatients, explain } from '@mdt/eval-coco';
import type { Comparison, Parity } from './comparison.js';

interface RecordedBox {
  box_type: string;
  box_coords: number[];
  box_label?: number;
  box_pred_class_id?: number;
  box_score?: number;
}

interface RecordedRow {
  pred_score: number;
  pred_class: number;
  pid: string;
  det_type: 'det_tp' | 'det_fp' | 'det_fn' | 'patient_tn';
  match_iou: number;
}

interface RecordedOutput {
  match_ious: number[];
  per_patient_ap: boolean;
  min_det_thresh: number;
  stats: { name: string; auc: number | null; ap: number | null }[];
  table: RecordedRow[] | null;
}

interface Recording {
  /** Per patient: boxes of each batch element, and the patient's name. */
  results: [RecordedBox[][], string][];
  outputs: RecordedOutput[];
}

const tolerance = 1e-9;

/** The original's evaluator: its table of detections, object-level AP and patient-level AUC and AP. */
export const evaluation: Parity = {
  kind: 'evaluation',
  handles: (fileName) => /^evaluation_.*\.json$/.test(fileName),
  *compare(path) {
    const { results, outputs } = JSON.parse(readFileSync(path, 'utf8')) as Recording;
    const classes = classesOf(results, outputs);
    const cases = casesOf(results, classes);
    for (const output of outputs) yield* compareOutput(output, cases, classes);
  },
};

function* compareOutput(output: RecordedOutput, cases: EvaluationCase[], classes: readonly string[]): Generator<Comparison> {
  const { match_ious: iouThresholds, min_det_thresh: minScore, per_patient_ap: perPatient, table, stats } = output;
  const where = `iou ${iouThresholds.join(' ')}${perPatient ? ' per patient' : ''}`;
  const options = { classes, iouThresholds, protocol: 'mdt' as const };
  if (table) {
    const ours = sortedKeys(withQuietPatients(explain(cases, options), cases, options));
    const recorded = sortedKeys(table.map((row) => [row.pid, row.pred_class, row.match_iou, row.det_type, row.pred_score]));
    const different = ours.filter((key, i) => key !== recorded[i]).length + Math.abs(ours.length - recorded.length);
    yield {
      name: `${where}: table`,
      passed: different === 0,
      detail: `${different} of ${recorded.length} rows differ`,
    };
  }
  const objects = evaluateDetections(cases, { ...options, minScore });
  const patients = evaluatePatients(cases, { classes });
  const objectAp = (name: string) =>
    numberOf(perPatient ? patientMeanAp(cases, { ...options, minScore }, name) : objects.perClass[name]!.ap);
  for (const { name, auc, ap } of stats) {
    const [, level, label] = /(patient|rois) cl_(\d+)$/.exec(name) ?? [];
    if (level === undefined) {
      const values = classes.map(objectAp);
      yield compareNumber(`${where}: ${name} ap`, values.reduce((sum, value) => sum + value, 0) / values.length, ap);
    } else if (level === 'rois') {
      yield compareNumber(`${where}: ${name} ap`, objectAp(label!), ap);
    } else {
      yield compareNumber(`${where}: ${name} auc`, numberOf(patients.perClass[label!]!.auc), auc);
      yield compareNumber(`${where}: ${name} ap`, numberOf(patients.perClass[label!]!.ap), ap);
    }
  }
}

/** The original has NaN where a number is not defined. */
const numberOf = (value: number | null): number => value ?? Number.NaN;

/** The original's `per_patient_ap`: AP of each patient and threshold; 0 where it has detections only, skipped where nothing. */
function patientMeanAp(
  cases: readonly EvaluationCase[],
  options: { classes: readonly string[]; iouThresholds: number[]; minScore: number; protocol: 'mdt' },
  name: string,
): number {
  const groups = new Map<string, EvaluationCase[]>();
  for (const item of cases) {
    const patient = item.patient ?? item.id;
    groups.set(patient, [...(groups.get(patient) ?? []), item]);
  }
  const values: number[] = [];
  for (const group of groups.values()) {
    const { ap, numDetections } = evaluateDetections(group, options).perClass[name]!;
    // Every threshold counts as an entry of its own; the numbers of entries are equal within a patient.
    if (ap !== null) values.push(ap);
    else if (numDetections > 0) values.push(0);
  }
  return values.length > 0 ? values.reduce((sum, value) => sum + value, 0) / values.length : Number.NaN;
}

type Key = [patient: string, label: number, iou: number, type: string, score: number];

/** The original's table: ours, and a row for each patient, class and threshold that has none. */
function withQuietPatients(
  rows: ReturnType<typeof explain>,
  cases: readonly EvaluationCase[],
  { classes, iouThresholds }: { classes: readonly string[]; iouThresholds: readonly number[] },
): Key[] {
  const keys = rows.map((row): Key => [row.patient, Number(row.className), row.iouThreshold, `det_${row.type}`, row.score]);
  const seen = new Set(rows.map((row) => `${row.patient} ${row.className} ${row.iouThreshold}`));
  for (const patient of new Set(cases.map(({ id, patient = id }) => patient))) {
    for (const className of classes) {
      for (const iou of iouThresholds) {
        if (!seen.has(`${patient} ${className} ${iou}`)) keys.push([patient, Number(className), iou, 'patient_tn', 0]);
      }
    }
  }
  return keys;
}

const sortedKeys = (keys: Key[]): string[] => keys.map((key) => JSON.stringify(key)).sort();

/** The original's class numbers, 1 to the largest one that occurs anywhere. */
function classesOf(results: Recording['results'], outputs: readonly RecordedOutput[]): string[] {
  const numbers = results.flatMap(([elements]) => elements.flat().map((box) => box.box_label ?? box.box_pred_class_id ?? 0));
  for (const { stats } of outputs) for (const { name } of stats) numbers.push(Number(/cl_(\d+)$/.exec(name)?.[1] ?? 0));
  return Array.from({ length: Math.max(...numbers) }, (_, i) => String(i + 1));
}

function casesOf(results: Recording['results'], classes: readonly string[]): EvaluationCase[] {
  const widths = results.flatMap(([elements]) => elements.flat().map((box) => box.box_coords.length));
  const dim: Dim = widths[0] === 6 ? 3 : 2;
  const label = (name: number | undefined) => classes.indexOf(String(name));
  return results.flatMap(([elements, patient], r) =>
    elements.map((boxes, element): EvaluationCase => {
      const detections = boxes.filter((box) => box.box_type === 'det');
      const objects = boxes.filter((box) => box.box_type === 'gt');
      const rows = (list: RecordedBox[]) =>
        fromMdtBoxes(
          list.flatMap((box) => box.box_coords),
          dim,
        );
      return {
        id: `${r}/${element}`,
        patient,
        detections: {
          dim,
          boxes: rows(detections),
          scores: Float64Array.from(detections, (box) => box.box_score!),
          labels: Int32Array.from(detections, (box) => label(box.box_pred_class_id)),
        },
        groundTruth: { dim, boxes: rows(objects), labels: Int32Array.from(objects, (box) => label(box.box_label)) },
      };
    }),
  );
}

/** NaN in the original means "undefined", as in ours; JSON may hold it as null. */
function compareNumber(name: string, ours: number, recorded: number | null): Comparison {
  const undefinedInBoth = Number.isNaN(ours) && (recorded === null || Number.isNaN(recorded));
  const difference = Math.abs(ours - (recorded ?? Number.NaN));
  return { name, passed: undefinedInBoth || difference <= tolerance, detail: `${ours} against ${recorded}` };
}
