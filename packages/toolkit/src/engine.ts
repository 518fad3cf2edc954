import { availableParallelism } from 'node:os';
import { InputError } from '@mdt/core';
import * as tf from '@tensorflow/tfjs-core';
import { type TrainingPrecision, trainingPrecisions } from './training-precisions.js';

export { type TrainingPrecision, trainingPrecisions };

export interface EngineOptions {
  /** CPU threads. Default: all cores. */
  threads?: number;
  /**
   * The type in which convolutions and matrix products run; weights, norms and losses are float32 in both. Default 'float32'.
   * Plain JavaScript has no other: it falls back to that as well.
   */
  precision?: TrainingPrecision;
  /** Refuses kernels whose results may differ from run to run. Default false; on a processor there are none. */
  deterministic?: boolean;
  /** Default 'torch', falling back to 'cpu' where libtorch or its addon is missing. */
  prefer?: 'torch' | 'cpu';
  /** Called with the one line that says which slower engine is used, why, and how to get the fast one. */
  onFallback?: (line: string) => void;
}

export interface Engine {
  /** Name of the TensorFlow.js backend that is now active. */
  readonly name: 'torch' | 'cpu';
  readonly precision: TrainingPrecision;
  /** CPU threads of one operation. */
  readonly threads: number;
  /** Why the preferred engine is not used. */
  readonly reason?: string;
}

/**
 * Selects the fastest engine there is: libtorch where it is installed, else plain JavaScript (the same numbers, slower).
 *
 * @throws InputError `invalid-option`
 */
export async function selectEngine(options: EngineOptions = {}): Promise<Engine> {
  const { threads, precision = 'float32', deterministic = false, prefer = 'torch', onFallback } = options;
  if (threads !== undefined && !(Number.isInteger(threads) && threads >= 1)) {
    throw new InputError('invalid-option', `threads is ${threads}, expected a whole number of at least 1`);
  }
  if (!trainingPrecisions.includes(precision)) {
    throw new InputError('invalid-option', `precision is '${precision}', expected one of ${trainingPrecisions.join(', ')}`);
  }
  if (prefer === 'cpu' && precision !== 'float32') {
    throw new InputError('invalid-option', `precision is '${precision}', but plain JavaScript computes in float32 only`);
  }
  let reason: string | undefined;
  if (prefer === 'torch') {
    try {
      const { useTorch } = await import('@mdt/tfjs-torch');
      await useTorch({ precision, deterministic, ...(threads !== undefined && { threads }) });
      return { name: 'torch', precision, threads: threads ?? availableParallelism() };
    } catch (error) {
      if (!isUnavailable(error)) throw error;
      reason = firstSentence(error);
      const other = precision === 'float32' ? '' : ', in float32';
      onFallback?.(
        `Engine: plain JavaScript${other}, many times slower than libtorch (${reason}). For the fast one: npm run setup`,
      );
    }
  }
  tf.enableProdMode(); // else the backend advertises another package at its first use
  await import('@tensorflow/tfjs-backend-cpu');
  if (!(await tf.setBackend('cpu'))) throw new Error("TensorFlow.js could not start its 'cpu' backend");
  await tf.ready();
  return { name: 'cpu', precision: 'float32', threads: 1, ...(reason !== undefined && { reason }) };
}

/** libtorch or the addon is missing, or the package itself is not installed. */
function isUnavailable(error: unknown): boolean {
  const { name, code } = error as { name?: string; code?: string };
  return name === 'EngineUnavailableError' || code === 'ERR_MODULE_NOT_FOUND' || code === 'MODULE_NOT_FOUND';
}

function firstSentence(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  return message.split('\n')[0]!.replace(/[.\s]+$/, '');
}
