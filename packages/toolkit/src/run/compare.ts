import { join } from 'node:path';
import { InputError } from '@mdt/core';
import { type Defined, evaluateDetections, type PairedTest, pairedTest } from '@mdt/eval-coco';
import type { ResolvedConfig } from '../config/config.js';
import { findOperatingPoint } from '../predict/operating-point-file.js';
import { listCheckpoints } from '../train/checkpoint.js';
import { readMetricsLog } from '../train/metrics-log.js';
import { differences } from '../train/run-state.js';
import { rawDir, testedCases, thresholdsOf } from './analyse.js';
import { openRawPredictions } from './raw-predictions.js';
import { readRunConfig, runFiles, runsIn } from './run-folder.js';

/** What is known of one side of a comparison. */
export interface ComparedRun {
  dir: string;
  epochs: number;
  /** Best validation score, the mean over folds. */
  validation: Defined;
  /** Hours of training, all folds together. */
  hours: number;
  /** AP of the test, at each IoU threshold that both have; null without a test. */
  test: { iouThreshold: number; ap: Defined }[] | null;
}

export interface Comparison {
  runs: [ComparedRun, ComparedRun];
  /** Keys of the configuration in which they differ, with both values. */
  config: string[];
  /** For each threshold the difference of AP, first minus second, where both tested the same patients; else why there is none. */
  differences: ({ iouThreshold: number } & PairedTest)[] | string;
}

/**
 * Compares two runs, or two cross-validations: what was configured differently, what both reached, and whether the difference on the test
 * cases is more than chance: a paired bootstrap over patients.
 *
 * @throws InputError
 */
export async function compareRuns(
  a: string,
  b: string,
  { resamples = 1000, seed = 0 }: { resamples?: number; seed?: number } = {},
): Promise<Comparison> {
  const sides = [await openSide(a), await openSide(b)] as const;
  const config = differences(comparable(sides[0].config), comparable(sides[1].config));
  const thresholds = thresholdsOf(sides[0].config).filter((t) => thresholdsOf(sides[1].config).includes(t));
  const metrics = sides.map(({ cases, classes }) => cases && evaluateDetections(cases, { classes, iouThresholds: thresholds }));
  const runs = sides.map(({ cases: _, classes: __, config: ___, ...side }, i) => ({
    ...side,
    test: metrics[i] ? thresholds.map((t) => ({ iouThreshold: t, ap: metrics[i]!.apAt(t) })) : null,
  })) as [ComparedRun, ComparedRun];
  const [first, second] = metrics;
  if (!first || !second) {
    const untested = first ? b : a;
    return { runs, config, differences: `'${untested}' was not tested: mdt test ${untested}` };
  }
  if (sides[0].classes.join('\0') !== sides[1].classes.join('\0')) return { runs, config, differences: 'the classes differ' };
  try {
    const tests = thresholds.map((t) => ({
      iouThreshold: t,
      ...withEnoughPatients(
        first.patients.length,
        pairedTest({ a: first, b: second }, (m) => m.apAt(t), { resamples, seed }),
      ),
    }));
    return { runs, config, differences: tests };
  } catch (error) {
    if (error instanceof InputError) return { runs, config, differences: 'the test cases differ' };
    throw error;
  }
}

/**
 * Of fewer patients even a difference that each of them shows may be chance: a sign test of five gives p = 2 · 2^-5 = 0.06. A bootstrap,
 * which draws from these few alone, would call it certain.
 */
const fewestPatients = 6;

function withEnoughPatients(patients: number, test: PairedTest): PairedTest {
  if (patients >= fewestPatients || test.low === null) return test;
  const undefinedBecause = `${patients} ${patients === 1 ? 'patient' : 'patients'}, at least ${fewestPatients} are needed`;
  return { ...test, low: null, high: null, pValue: null, undefinedBecause };
}

async function openSide(dir: string) {
  const folders = await runsIn(dir);
  const config = await readRunConfig(folders[0]!);
  const scores: number[] = [];
  let [epochs, seconds] = [0, 0];
  for (const folder of folders) {
    const log = await readMetricsLog(join(folder, runFiles.metrics));
    epochs = Math.max(epochs, log.length);
    seconds += log.reduce((sum, record) => sum + record.seconds, 0);
    const score = (await listCheckpoints(folder))[0]?.state.score;
    if (score != null) scores.push(score);
  }
  const raw = await openRawPredictions(rawDir(dir)).catch((error: unknown) => {
    if (error instanceof InputError && error.code === 'missing-file') return undefined;
    throw error;
  });
  return {
    ...{ dir, epochs, hours: seconds / 3600, config },
    validation: scores.length > 0 ? scores.reduce((sum, score) => sum + score, 0) / scores.length : null,
    classes: config.detector.classes!,
    cases: raw && (await testedCases(raw, config, { point: (await findOperatingPoint(dir))?.point })),
  };
}

/** Which fold it is makes no difference between cross-validations. */
function comparable({ data, ...rest }: ResolvedConfig): unknown {
  const { fold: _, ...folds } = data.folds ?? {};
  return { ...rest, data: { ...data, ...(data.folds && { folds }) } };
}
