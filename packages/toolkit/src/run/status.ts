import { join } from 'node:path';
import type { Defined } from '@mdt/eval-coco';
import { readJson } from '../files.js';
import { isLocked } from '../lock-folder.js';
import { listCheckpoints } from '../train/checkpoint.js';
import { type MetricsRecord, readMetricsLog } from '../train/metrics-log.js';
import { type LiveState, readLive } from './live.js';
import { readRunConfig, runFiles, runsIn } from './run-folder.js';

/** How a run stands. */
export interface RunStatus {
  dir: string;
  kind: string;
  /** Whether a process trains into the folder now. */
  running: boolean;
  epochs: { done: number; planned: number };
  /** The best checkpoint. */
  best: { epoch: number; score: Defined } | null;
  last: MetricsRecord | null;
  /** The latest step that was noted. */
  live: LiveState | null;
  /** AP of the test, where there was one. */
  test: Defined;
}

/** How the runs in a folder stand: one, or the folds of a cross-validation. @throws InputError `missing-file` */
export async function runStatus(dir: string): Promise<RunStatus[]> {
  const statuses: RunStatus[] = [];
  for (const run of await runsIn(dir)) {
    const config = await readRunConfig(run);
    const log = await readMetricsLog(join(run, runFiles.metrics)).catch((): MetricsRecord[] => []);
    const [best] = await listCheckpoints(run).catch(() => []); // one may be on its way out at this moment
    const metrics = (await readJson(join(run, runFiles.test, 'metrics.json')).catch(() => null)) as { ap?: number } | null;
    statuses.push({
      dir: run,
      kind: config.detector.kind,
      running: await isLocked(run),
      epochs: { done: log.length, planned: config.training.epochs },
      best: best ? { epoch: best.state.epoch, score: best.state.score } : null,
      last: log.at(-1) ?? null,
      live: readLive(run) ?? null,
      test: metrics?.ap ?? null,
    });
  }
  return statuses;
}
