import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { writeForDisplay } from '../files.js';
import type { StepEvent } from '../train/train.js';
import { runFiles } from './run-folder.js';

/** Where a training is right now: what `mdt status` shows beside the epochs. */
export interface LiveState extends StepEvent {
  /** Milliseconds since 1970. */
  time: number;
  epochs: number;
  /** Resident memory of the process. */
  memoryBytes: number;
}

/**
 * A function that puts the latest step into `live.json`, every other second at most.
 */
export function liveWriter(
  out: string,
  epochs: number,
  { everyMs = 2000 }: { everyMs?: number } = {},
): (event: StepEvent) => void {
  const path = join(out, runFiles.live);
  let last = Number.NEGATIVE_INFINITY;
  return (event) => {
    if (performance.now() - last < everyMs && event.step < event.steps) return;
    last = performance.now();
    const state: LiveState = { ...event, time: Date.now(), epochs, memoryBytes: process.memoryUsage().rss };
    writeForDisplay(path, JSON.stringify(state));
  };
}

/** The latest step of a run, or undefined where none was stored. */
export function readLive(dir: string): LiveState | undefined {
  try {
    return JSON.parse(readFileSync(join(dir, runFiles.live), 'utf8')) as LiveState;
  } catch {
    return undefined;
  }
}
