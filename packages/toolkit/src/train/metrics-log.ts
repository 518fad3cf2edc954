import { open } from 'node:fs/promises';
import { InputError } from '@mdt/core';
import { readInput } from '../data/volume-file.js';
import { writeFileAtomic } from '../files.js';

/** One line of `metrics.jsonl`. */
export interface MetricsRecord {
  index: number;
  step: number;
  /** When the epoch ended: seconds since 1970. */
  time: number;
  seconds: number;
  learningRate: number;
  losses: Record<string, number>;
  metrics: Record<string, number>;
}

export interface MetricsLog {
  readonly path: string;
  append(record: MetricsRecord): Promise<void>;
}

/**
 * Starts a log: one JSON object per epoch and line, appended and on disk before the next step, so that a killed run keeps what it
 * wrote. A run that goes on keeps the `kept` epochs that it will not report again.
 */
export async function metricsLog(path: string, kept: readonly MetricsRecord[] = []): Promise<MetricsLog> {
  await writeFileAtomic(path, kept.map(line).join(''));
  return {
    path,
    async append(record) {
      const file = await open(path, 'a');
      try {
        await file.appendFile(line(record));
        await file.sync();
      } finally {
        await file.close();
      }
    },
  };
}

const line = ({ index, step, time, seconds, learningRate, losses, metrics }: MetricsRecord): string =>
  `${JSON.stringify({ index, step, time, seconds, learningRate, losses, metrics })}\n`;

/** Reads a log; a last line that a killed process did not finish is left out. */
export async function readMetricsLog(path: string): Promise<MetricsRecord[]> {
  const lines = new TextDecoder().decode(await readInput(path)).split('\n');
  const records: MetricsRecord[] = [];
  for (const [i, line] of lines.entries()) {
    if (line.trim() === '') continue;
    try {
      records.push(JSON.parse(line) as MetricsRecord);
    } catch (cause) {
      if (i === lines.length - 1) break;
      throw new InputError('unreadable-file', `${path}: line ${i + 1} is not JSON`, { cause });
    }
  }
  return records;
}
