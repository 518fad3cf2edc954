import { InputError } from '@mdt/core';
import * as tf from '@tensorflow/tfjs-core';

export interface EngineOptions {
  /** CPU threads. Default: all cores. */
  threads?: number;
  /** Default 'torch', falling back to 'cpu' where libtorch or its addon is missing. */
  prefer?: 'torch' | 'cpu';
  /** Called with the one line that says which slower engine is used, why, and how to get the fast one. */
  onFallback?: (line: string) => void;
}

export interface Engine {
  /** Name of the TensorFlow.js backend that is now active. */
  readonly name: 'torch' | 'cpu';
  /** Why the preferred engine is not used. */
  readonly reason?: string;
}

/** Selects the fastest engine there is: libtorch where it is installed, else plain JavaScript (the same numbers, slower). */
export async function selectEngine({ threads, prefer = 'torch', onFallback }: EngineOptions = {}): Promise<Engine> {
  if (threads !== undefined && !(Number.isInteger(threads) && threads >= 1)) {
    throw new InputError('invalid-option', `threads is ${threads}, expected a whole number of at least 1`);
  }
  let reason: string | undefined;
  if (prefer === 'torch') {
    try {
      const { useTorch } = await import('@mdt/tfjs-torch');
      await useTorch(threads === undefined ? {} : { threads });
      return { name: 'torch' };
    } catch (error) {
      if (!isUnavailable(error)) throw error;
      reason = firstSentence(error);
      onFallback?.(`Engine: plain JavaScript, many times slower than libtorch (${reason}). For the fast one: npm run setup`);
    }
  }
  tf.enableProdMode(); // else the backend advertises another package at its first use
  await import('@tensorflow/tfjs-backend-cpu');
  if (!(await tf.setBackend('cpu'))) throw new Error("TensorFlow.js could not start its 'cpu' backend");
  await tf.ready();
  return reason === undefined ? { name: 'cpu' } : { name: 'cpu', reason };
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
