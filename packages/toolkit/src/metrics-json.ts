import {
  bootstrapAll,
  type ClassMetrics,
  type Defined,
  type EvaluationCase,
  evaluateDetections,
  evaluatePatients,
  froc,
  frocRates,
  type Interval,
  type Metrics,
  type Reasons,
  scanScores,
} from '@mdt/eval-coco';

export interface MetricsJsonOptions {
  /** Draws of the bootstrap over patients. Default 1000. */
  resamples?: number;
  /** The same seed gives the same intervals. Default 0. */
  seed?: number;
  /** Score threshold of an operating point, to be judged too. */
  minScore?: number;
}

/**
 * Object and patient level numbers as plain JSON; null where there is nothing to measure, for which `undefinedBecause` has the reason. `intervals` are 95 % percentile intervals of the
 * bootstrap over patients, `[low, high]`; `froc` has the sensitivity at 1/8, 1/4, …, 8 false positives per case, at the first IoU threshold
 * and with all detections of a case. With `minScore`, `operatingPoint` has precision, recall and F1 of the
 * detections from that score on, at the first threshold.
 */
export function metricsJson(
  cases: readonly EvaluationCase[],
  metrics: Metrics,
  { resamples = 1000, seed = 0, minScore }: MetricsJsonOptions = {},
): unknown {
  const { classes, iouThresholds } = metrics;
  const draws = { resamples, seed };
  const patients = evaluatePatients(cases, { classes });
  const names = [...classes, undefined];
  const objectsOf = (m: Metrics, name: string | undefined): Pick<ClassMetrics, 'ap' | 'ar' | 'apAt' | 'arAt'> =>
    name === undefined ? m : m.perClass[name]!;

  // One pass of draws for all numbers of a kind: per class and, last, over the classes.
  const aps = perName(
    names,
    bootstrapAll(metrics, (m) => names.flatMap((name) => [objectsOf(m, name).ap, ...apsAt(objectsOf(m, name), m)]), draws),
  );
  const all = evaluateDetections(cases, { classes, iouThresholds: iouThresholds.slice(0, 1), maxDetections: Infinity });
  const sensitivities = perName(
    names,
    bootstrapAll(all, (m) => frocNumbers(m, names), draws),
  );
  const aucs = perName(
    classes,
    bootstrapAll(patients, (m) => classes.flatMap((name) => [m.perClass[name]!.auc, m.perClass[name]!.ap]), draws),
  );

  const objects = (name: string | undefined) => {
    const of = objectsOf(metrics, name);
    const [ap, ...at] = aps.get(name)!;
    const [score, ...sensitivity] = sensitivities.get(name)!;
    return {
      ap: of.ap,
      ar: of.ar,
      intervals: { ap: ends(ap!) },
      perThreshold: Object.fromEntries(
        iouThresholds.map((t, k) => [String(t), { ap: of.apAt(t), ar: of.arAt(t), intervals: { ap: ends(at[k]!) } }]),
      ),
      froc: {
        iouThreshold: iouThresholds[0],
        falsePositivesPerCase: frocRates,
        sensitivity: sensitivity.map(({ value }) => value),
        score: score!.value,
        intervals: { sensitivity: sensitivity.map(ends), score: ends(score!) },
      },
    };
  };
  return {
    cases: cases.length,
    patients: metrics.patients.length,
    iouThresholds,
    bootstrap: { resamples, seed, level: 0.95 },
    ...objects(undefined),
    ...reasons(metrics.undefinedBecause),
    ...(minScore !== undefined && { operatingPoint: pointAt(all, minScore) }),
    perClass: Object.fromEntries(
      classes.map((name) => {
        const { numObjects, numDetections } = metrics.perClass[name]!;
        const patient = patients.perClass[name]!;
        const [auc, ap] = aucs.get(name)!;
        return [
          name,
          {
            objects: numObjects,
            detections: numDetections,
            ...objects(name),
            ...reasons(metrics.perClass[name]!.undefinedBecause),
            patient: {
              ...{ auc: patient.auc, ap: patient.ap, intervals: { auc: ends(auc!), ap: ends(ap!) } },
              ...reasons(patient.undefinedBecause),
            },
          },
        ];
      }),
    ),
  };
}

/** Precision, recall, F1 and counts of the detections from a score on, at the first IoU threshold. */
function pointAt(metrics: Metrics, minScore: number): unknown {
  const { pooled, perClass } = scanScores(metrics, { minScores: [minScore] });
  const first = Object.entries(perClass).map(([name, points]) => [name, points[0]]);
  return { iouThreshold: metrics.iouThresholds[0], ...pooled[0], perClass: Object.fromEntries(first) };
}

const apsAt = (of: Pick<ClassMetrics, 'apAt'>, { iouThresholds }: Metrics): Defined[] => iouThresholds.map((t) => of.apAt(t));

/** Per class, then pooled: the mean sensitivity and that at each rate. */
function frocNumbers(metrics: Metrics, names: readonly (string | undefined)[]): Defined[] {
  const { perClass, pooled } = froc(metrics);
  return names.flatMap((name) => {
    const { score, atRates } = name === undefined ? pooled : perClass[name]!;
    return [score, ...atRates];
  });
}

/** Nothing where all numbers are defined. */
const reasons = (undefinedBecause: Reasons) => (Object.keys(undefinedBecause).length > 0 ? { undefinedBecause } : {});

/** A list of equally many numbers per name, as a map. */
function perName<N>(names: readonly N[], intervals: readonly Interval[]): Map<N, Interval[]> {
  const each = intervals.length / names.length;
  return new Map(names.map((name, k) => [name, intervals.slice(k * each, (k + 1) * each)]));
}

const ends = ({ low, high }: Interval): [number, number] | null => (low === null ? null : [low, high!]);
