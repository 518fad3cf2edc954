import { kernels, product } from '@mdt/core';
import * as tf from '@tensorflow/tfjs-core';

/** A tensor of a traced run: what it is called by, and how it looked when it passed. */
export interface TracedTensor {
  readonly id: number;
  readonly shape: readonly number[];
  readonly dtype: tf.DataType;
}

/** One kernel that ran. */
export interface TracedCall {
  readonly kernel: string;
  readonly inputs: Readonly<Record<string, TracedTensor | readonly TracedTensor[]>>;
  readonly attrs: Readonly<Record<string, unknown>>;
  readonly outputs: readonly TracedTensor[];
  /** The line of the user's code that led to it, as in a stack trace. */
  readonly calledFrom: string;
}

export interface Trace {
  readonly calls: readonly TracedCall[];
  /** Values of tensors that no call made: weights and constants. */
  readonly constants: ReadonlyMap<number, { tensor: TracedTensor; values: Float32Array | Int32Array | Uint8Array }>;
  readonly outputs: Readonly<Record<string, TracedTensor>>;
}

type KernelRunner = (kernel: string, inputs: Record<string, unknown>, attrs: Record<string, unknown>) => unknown;

/**
 * Runs `network` and writes down the kernels it calls on the active backend. Kernels that a kernel calls in turn are left out.
 *
 * @param inputs are not taken for constants
 */
export function trace(network: () => Record<string, tf.Tensor>, inputs: readonly tf.Tensor[]): Trace {
  const calls: TracedCall[] = [];
  const made = new Set(inputs.map(({ id }) => id));
  const constants = new Map<number, { tensor: TracedTensor; values: Float32Array | Int32Array | Uint8Array }>();
  const engine = tf.engine() as unknown as { runKernel: KernelRunner };
  const own = Object.getOwnPropertyDescriptor(engine, 'runKernel');
  const run = engine.runKernel;
  let depth = 0;
  const remember = (tensor: tf.Tensor): TracedTensor => {
    const traced = describe(tensor);
    if (!made.has(tensor.id) && !constants.has(tensor.id)) {
      constants.set(tensor.id, { tensor: traced, values: tensor.dataSync().slice() as Float32Array });
    }
    return traced;
  };
  engine.runKernel = function traced(this: unknown, kernel, given, attrs) {
    if (depth > 0) return run.call(this, kernel, given, attrs);
    const calledFrom = callerLine(engine.runKernel);
    const inputs = Object.fromEntries(
      Object.entries(given)
        .filter(([, value]) => value != null)
        .map(([name, value]) => [name, Array.isArray(value) ? value.map(remember) : remember(value as tf.Tensor)]),
    );
    depth++;
    try {
      const result = run.call(this, kernel, given, attrs);
      const outputs = (Array.isArray(result) ? result : [result]) as tf.Tensor[];
      for (const { id } of outputs) made.add(id);
      calls.push({ kernel, inputs, attrs: attrs ?? {}, outputs: outputs.map(describe), calledFrom });
      return result;
    } finally {
      depth--;
    }
  };
  let outputs: Record<string, TracedTensor> = {};
  const takeBack = lendResize();
  try {
    tf.tidy(() => {
      const results = network();
      outputs = Object.fromEntries(Object.entries(results).map(([name, tensor]) => [name, remember(tensor)]));
    });
  } finally {
    takeBack();
    if (own) Object.defineProperty(engine, 'runKernel', own);
    else delete (engine as { runKernel?: unknown }).runKernel;
  }
  return { calls, constants, outputs };
}

/**
 * While a network is recorded, a resize is one kernel on every backend: what it is made of where there is none holds for one size only.
 * The values are never looked at, so zeros do.
 */
function lendResize(): () => void {
  const kernelName = kernels.Resize;
  const backendName = tf.getBackend();
  if (tf.getKernel(kernelName, backendName)) return () => {};
  tf.registerKernel({
    kernelName,
    backendName,
    kernelFunc: ({ inputs, backend, attrs }) => {
      const { x } = inputs as { x: tf.TensorInfo };
      const shape = [x.shape[0]!, ...(attrs as unknown as kernels.ResizeAttrs).size, x.shape.at(-1)!];
      const storage = backend as tf.KernelBackend;
      return { dataId: storage.write(new Float32Array(product(shape)), shape, 'float32'), shape, dtype: 'float32' };
    },
  });
  return () => tf.unregisterKernel(kernelName, backendName);
}

const describe = ({ id, shape, dtype }: tf.Tensor): TracedTensor => ({ id, shape: [...shape], dtype });

/** The nearest line above `kernelRunner` that is not TensorFlow.js's own. */
function callerLine(kernelRunner: (...args: never[]) => unknown): string {
  const limit = Error.stackTraceLimit;
  Error.stackTraceLimit = 50;
  const here = { stack: '' };
  Error.captureStackTrace?.(here, kernelRunner);
  Error.stackTraceLimit = limit;
  const lines = here.stack.split('\n').slice(1);
  const line = lines.find((text) => !/tfjs-(core|layers)|tf-core/.test(text)) ?? lines[0] ?? 'unknown';
  return line.trim().replace(/^at /, '');
}
