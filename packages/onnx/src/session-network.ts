import { InputError, product } from '@mdt/core';
import type { DenseOutputs, FeatureMap, NetworkFunctions } from '@mdt/decode';
import { within } from './limits.js';
import type { OnnxRuntime, OnnxSession } from './runtime.js';

/** The sessions of a model's parts. */
export interface Sessions {
  readonly dense: OnnxSession;
  readonly box?: OnnxSession;
  readonly mask?: OnnxSession;
}

export interface SessionOptions {
  readonly ort: Pick<OnnxRuntime, 'Tensor'>;
  /** `[...patchSize, channels]`. */
  readonly imageShape: readonly number[];
  /** Bins and channels of what the heads take. */
  readonly headShapes: { readonly box?: readonly number[]; readonly mask?: readonly number[] };
  /** Images that the graph takes at once, where that is fixed. */
  readonly batchSize: number | null;
  readonly timeMs: number;
  readonly what: string;
}

/** In place of an output that a file does not have: whoever checks its length says what is missing. */
const none = new Float32Array(0);

interface Output {
  readonly values: Float32Array;
  readonly dims: readonly number[];
}

/** A network on onnxruntime, as functions of arrays. */
export function sessionNetwork(sessions: Sessions, options: SessionOptions): NetworkFunctions & { dispose(): void } {
  const { ort, imageShape, headShapes, batchSize, timeMs, what } = options;

  async function run(
    session: OnnxSession,
    input: string,
    values: Float32Array,
    shape: readonly number[],
    wanted: readonly string[],
  ) {
    const tensor = new ort.Tensor('float32', values, shape);
    const results = await within(session.run({ [input]: tensor }, wanted), timeMs, what).catch((cause: unknown) => {
      if (cause instanceof InputError) throw cause;
      const message = cause instanceof Error ? cause.message : String(cause);
      throw new InputError('invalid-data', `${what} failed in onnxruntime: ${message.split('\n')[0]}`, { cause });
    });
    const outputs: Record<string, Output> = {};
    for (const name of wanted) {
      const result = results[name]!;
      const data = await result.getData();
      if (!(data instanceof Float32Array)) throw new InputError('invalid-data', `${what}: output '${name}' is not float32`);
      outputs[name] = { values: data, dims: result.dims };
    }
    return outputs;
  }

  async function dense(patches: Float32Array, count: number, { segmentation }: { segmentation: boolean }): Promise<DenseOutputs> {
    const wanted = sessions.dense.outputNames.filter((name) => segmentation || name !== 'segmentation');
    if (batchSize === null || batchSize === count) {
      return denseOutputs(await run(sessions.dense, 'images', patches, [count, ...imageShape], wanted));
    }
    // A graph of a fixed batch: as many runs as it takes, the last one filled up with zeros.
    const length = product(imageShape);
    const parts: Record<string, Output>[] = [];
    for (let from = 0; from < count; from += batchSize) {
      const batch = new Float32Array(batchSize * length);
      batch.set(patches.subarray(from * length, Math.min(count, from + batchSize) * length));
      parts.push(await run(sessions.dense, 'images', batch, [batchSize, ...imageShape], wanted));
    }
    return denseOutputs(joined(parts, count / batchSize));
  }

  const head = (session: OnnxSession, name: 'box' | 'mask', pooled: Float32Array, count: number) =>
    run(session, `${name}Pooled`, pooled, [count, ...headShapes[name]!], session.outputNames);
  const { box, mask } = sessions;
  return {
    dense,
    ...(box && {
      async boxHead(pooled: Float32Array, count: number) {
        const { boxLogits, boxDeltas } = await head(box, 'box', pooled, count);
        return { logits: boxLogits?.values ?? none, deltas: boxDeltas?.values ?? none };
      },
    }),
    ...(mask && {
      async maskHead(pooled: Float32Array, count: number) {
        return (await head(mask, 'mask', pooled, count)).maskLogits?.values ?? none;
      },
    }),
    dispose() {
      for (const session of [sessions.dense, box, mask]) void session?.release?.().catch(() => {}); // twice is no harm
    },
  };
}

/** Outputs of several batches in one, the first `share` of the last batch's images. */
function joined(parts: readonly Record<string, Output>[], share: number): Record<string, Output> {
  return Object.fromEntries(
    Object.entries(parts[0]!).map(([name, { values, dims }]) => {
      const all = new Float32Array(Math.round(values.length * share));
      parts.forEach((part, i) => {
        const own = part[name]!.values;
        all.set(own.subarray(0, Math.min(own.length, all.length - i * own.length)), i * own.length);
      });
      return [name, { values: all, dims: [Math.round(dims[0]! * share), ...dims.slice(1)] }];
    }),
  );
}

function denseOutputs(outputs: Readonly<Record<string, Output>>): DenseOutputs {
  const list = (stem: string): Output[] => {
    const found: Output[] = [];
    for (let l = 0; outputs[`${stem}${l}`]; l++) found.push(outputs[`${stem}${l}`]!);
    return found;
  };
  const features = list('features').map(
    ({ values, dims }): FeatureMap => ({ values, size: dims.slice(1, -1), channels: dims.at(-1)! }),
  );
  return {
    logits: list('logits').map(({ values }) => values),
    deltas: list('deltas').map(({ values }) => values),
    features,
    ...(outputs.segmentation && { segmentation: outputs.segmentation.values }),
  };
}
