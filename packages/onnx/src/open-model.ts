import { mirrorViews } from '@mdt/augment';
import { type Dim, InputError, type PatchDetector, perAxis, product, refuseUnknownKeys } from '@mdt/core';
import { decodedDetector, gridOf, type NetworkFunctions } from '@mdt/decode';
import { consolidationOf, type PredictorOptions } from '@mdt/predictor';
import { type ModelDescription, readDescription } from './description.js';
import { type ModelLimits, resolveLimits } from './limits.js';
import { estimateNeeds } from './memory-estimate.js';
import { type ExternalValues, encodePart, partBehind, type ValuesBeside } from './model-part.js';
import { type ReadModel, readModel } from './model-reader.js';
import type { OnnxRuntime, OnnxSession } from './runtime.js';
import { sessionNetwork } from './session-network.js';

export interface OpenModelOptions {
  /** `import * as ort from 'onnxruntime-web'` (or `-node`). */
  ort: OnnxRuntime;
  /** onnxruntime's execution providers, the first that works: `cpu`, `cuda`, `webgpu`, `wasm` … Default onnxruntime's own. */
  executionProviders?: readonly (string | Readonly<Record<string, unknown>>)[];
  /** CPU threads. Default onnxruntime's choice. */
  threads?: number;
  /** Voxels per axis, in place of the file's own; for graphs that take any size. */
  patchSize?: readonly number[];
  limits?: ModelLimits;
  /** How errors call the file. Default 'model'. */
  name?: string;
  /** Further options of onnxruntime's sessions. */
  sessionOptions?: Readonly<Record<string, unknown>>;
}

export const openModelKeys = ['ort', 'executionProviders', 'threads', 'patchSize', 'limits', 'name', 'sessionOptions'];

/** A detector that came from a file. */
export interface LoadedDetector<D extends Dim = Dim> extends PatchDetector<D> {
  /** What the file says of itself. */
  readonly description: ModelDescription<D>;
  /** The network without its decoding: raw outputs. */
  readonly network: NetworkFunctions;
}

const noExternal: ExternalValues = ({ name }) => {
  throw new InputError('missing-file', `constant '${name}' lies in another file, and none was given`);
};

/**
 * A detector from the bytes of a model file, in Node or in a browser. The file is data from a stranger: it is taken apart and checked
 * before onnxruntime sees it, and its memory is estimated before it runs.
 *
 * @param external gives values that lie outside of the file
 * @throws InputError `unreadable-file`, `unsupported-format`, `invalid-data`, `limit-exceeded`; `invalid-option`, `unknown-option`,
 * `invalid-patch-size`
 */
export async function openModel(
  bytes: Uint8Array,
  options: OpenModelOptions,
  external: ExternalValues = noExternal,
): Promise<LoadedDetector> {
  refuseUnknownKeys('openModel', options, openModelKeys);
  const { ort, name: file = 'model' } = options;
  const limits = resolveLimits('openModel', options.limits);
  if (bytes.length > limits.fileBytes) {
    throw new InputError('limit-exceeded', `${file}: ${bytes.length} bytes, more than limits.fileBytes (${limits.fileBytes})`);
  }
  const model = readModel(bytes, file);
  const description = described(readDescription(model.metadata, file), options.patchSize, file);
  const { dim, kind, classes, channels, patchSize, decoding } = description;
  const imageShape = [...patchSize, channels];
  const batchSize = checkImages(model, imageShape, file);
  if (decoding.method !== 'components') {
    const { anchors } = decoding.method === 'anchors' ? decoding : decoding.proposals;
    const { length } = gridOf<Dim>(dim, anchors, patchSize);
    if (!(length > 0 && length <= 2 ** 28)) throw new InputError('invalid-data', `${file}: ${length} anchors`);
  }
  const sessions: OnnxSession[] = [];
  const open = async (input: string, shape: readonly number[]): Promise<OnnxSession> => {
    const part = partBehind(model, input, file);
    const needs = estimateNeeds(model, part, new Map([[input, shape]]), file);
    const refuse = (what: string, limit: string): never => {
      throw new InputError('limit-exceeded', `${file}: one forward pass takes about ${what}, more than limits.${limit}`);
    };
    if (needs.bytes > limits.memoryBytes) refuse(gib(needs.bytes), `memoryBytes (${gib(limits.memoryBytes)})`);
    if (needs.operations > limits.operations) {
      refuse(`${needs.operations.toExponential(1)} operations`, `operations (${limits.operations})`);
    }
    // A file of one part is passed on as it is.
    const isWhole = part.nodes.length === model.nodes.length && !part.initializers.some((tensor) => tensor.external);
    const { bytes: own, beside } = isWhole ? { bytes, beside: [] } : encodePart(model, part, external);
    const session = await create(ort, own, beside, options, file);
    sessions.push(session);
    return session;
  };
  try {
    const headShapes: { box?: readonly number[]; mask?: readonly number[] } = {};
    const dense = await open('images', [batchSize ?? 1, ...imageShape]);
    const heads: { box?: OnnxSession; mask?: OnnxSession } = {};
    if (decoding.method === 'proposals') {
      headShapes.box = headShape(model, 'boxPooled', decoding.boxHead.poolSize, file);
      heads.box = await open('boxPooled', [decoding.rois.chunkSize, ...headShapes.box]);
      if (decoding.maskHead) {
        headShapes.mask = headShape(model, 'maskPooled', decoding.maskHead.poolSize, file);
        heads.mask = await open('maskPooled', [Math.min(decoding.rois.chunkSize, decoding.nms.maxPerImage), ...headShapes.mask]);
      }
    }
    const network = sessionNetwork(
      { dense, ...heads },
      { ort, imageShape, headShapes, batchSize, timeMs: limits.timeMs, what: `${file}: a forward pass` },
    );
    const detector = decodedDetector<Dim>({ kind, dim, classes, patchSize, inChannels: channels, decoding }, network);
    return { ...detector, description, network };
  } catch (error) {
    for (const session of sessions) await session.release?.();
    throw error;
  }
}

/** How whole images are predicted with a model, by what its file says; what you give goes first. */
export function predictorOptionsOf(
  { prediction }: Pick<ModelDescription, 'prediction'>,
  options: PredictorOptions = {},
): PredictorOptions {
  const { minOverlap, mirror, consolidation, minScore } = prediction;
  return {
    ...(minOverlap !== null && { minOverlap: minOverlap as NonNullable<PredictorOptions['minOverlap']> }),
    views: mirrorViews(mirror),
    consolidate: consolidationOf(consolidation),
    minScore,
    ...options,
  };
}

const gib = (bytes: number): string => `${(bytes / 2 ** 30).toFixed(bytes < 2 ** 30 ? 3 : 1)} GiB`;

/** The description with another patch size, where one is asked for. */
function described(given: ModelDescription, asked: readonly number[] | undefined, file: string): ModelDescription {
  if (!asked) return given;
  const { dim, sizeMultiple } = given;
  const patchSize = perAxis<Dim>(dim, asked, 'openModel: patchSize');
  if (!patchSize.every((n, d) => Number.isInteger(n) && n > 0 && n % sizeMultiple[d]! === 0)) {
    const text = `${file}: patchSize is ${asked.join('x')}, expected multiples of ${sizeMultiple.join('x')}`;
    throw new InputError('invalid-patch-size', text);
  }
  return { ...given, patchSize };
}

/** Checks the graph's images against the description; gives their number where it is fixed. */
function checkImages(model: ReadModel, imageShape: readonly number[], file: string): number | null {
  const images = model.inputs.find(({ name }) => name === 'images');
  const shape = images?.shape ?? [];
  const fits = shape.length === imageShape.length + 1 && imageShape.every((n, d) => shape[d + 1] === null || shape[d + 1] === n);
  if (images?.type !== 1 || !fits) {
    const got = images ? shape.map((n) => n ?? '?').join('x') : 'none';
    throw new InputError('shape-mismatch', `${file}: the graph takes images ${got}, expected batch x ${imageShape.join('x')}`);
  }
  const [batch] = shape;
  if (batch !== null && !(batch! >= 1 && batch! <= 4096)) throw new InputError('invalid-data', `${file}: batches of ${batch}`);
  return batch!;
}

function headShape(model: ReadModel, input: string, poolSize: readonly number[], file: string): readonly number[] {
  const shape = model.inputs.find(({ name }) => name === input)?.shape.slice(1) ?? [];
  const fits = shape.length === poolSize.length + 1 && shape.every((n) => n !== null) && poolSize.every((n, d) => shape[d] === n);
  if (fits && product(shape as number[]) < 2 ** 28) return shape as number[];
  const text = `${file}: input '${input}' is ${shape.join('x') || 'missing'}, expected ${poolSize.join('x')} bins and channels`;
  throw new InputError('invalid-data', text);
}

async function create(
  ort: OnnxRuntime,
  bytes: Uint8Array,
  beside: readonly ValuesBeside[],
  { executionProviders, threads, sessionOptions }: OpenModelOptions,
  file: string,
): Promise<OnnxSession> {
  try {
    return await ort.InferenceSession.create(bytes, {
      logSeverityLevel: 3,
      ...(beside.length > 0 && { externalData: beside }),
      ...(executionProviders && { executionProviders }),
      ...(threads !== undefined && { intraOpNumThreads: threads }),
      ...sessionOptions,
    });
  } catch (cause) {
    const message = cause instanceof Error ? cause.message : String(cause);
    throw new InputError('unreadable-file', `${file}: onnxruntime cannot open it: ${message.split('\n')[0]}`, { cause });
  }
}
