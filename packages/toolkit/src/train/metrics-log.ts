import { appendFile, mkdir, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { InputError } from '@mdt/core';
import { readInput } from '../data/volume-file.js';

/** One line of `metrics.jsonl`. */
export interface MetricsRecord {
  index: number;
  step: number;
  seconds: number;
  learningRate: number;
  losses: Record<string, number>;
  metrics: Record<string, number>;
}

export interface MetricsLog {
  readonly path: string;
  append(record: MetricsRecord): Promise<void>;
}

/** Starts an empty log: one JSON object per epoch and line, appended, so that a killed run keeps what it wrote. */
export async function metricsLog(path: string): Promise<MetricsLog> {
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, '');
  return {
    path,
    append: ({ index, step, seconds, learningRate, losses, metrics }) =>
      appendFile(path, `${JSON.stringify({ index, step, seconds, learningRate, losses, metrics })}\n`),
  };
}

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
