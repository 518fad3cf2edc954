import { axisNames, type Dim, InputError, type PerAxis, refuseUnknownKeys } from '@mdt/core';
import type { DividedDetector, NetworkParts } from '@mdt/detectors';
import {
  descriptionMetadata,
  formatVersion,
  type Graph,
  type ModelDescription,
  type ModelPrecision,
  readDescription,
  type WriteOptions,
  writeModel,
} from '@mdt/onnx';
import type * as tf from '@tensorflow/tfjs-core';
import { type ExportReport, opset } from './export-network.js';
import { halfGraph } from './half-graph.js';
import { joinedGraph } from './joined-graph.js';
import { type NetworkInput, networkGraph, parameterCount } from './network-graph.js';

type Facts = Pick<
  ModelDescription,
  'spacing' | 'orientation' | 'normalisation' | 'prediction' | 'operatingPoints' | 'training' | 'licence' | 'version'
>;

export interface ExportOnnxOptions extends WriteOptions, Partial<Facts> {
  /** Images at once: a number, or any. Default 'free'. */
  batch?: number | 'free';
  /** Sides of images: the detector's patch, or any multiple of its strides. Default 'fixed'. */
  size?: 'fixed' | 'free';
  /** int8 comes from a float32 file, see `quantise`. Default 'float32'. */
  precision?: Exclude<ModelPrecision, 'int8'>;
}

const factKeys = [
  ...(['spacing', 'orientation', 'normalisation', 'prediction', 'operatingPoints', 'training', 'licence', 'version'] as const),
];

/**
 * Writes a detector as one ONNX file that says all that prediction needs (docs/model-file.md), read again by `loadDetector` of
 * `@mdt/onnx`. The dense part and the heads of a second stage are parts of one graph. Runs the network on the active backend.
 *
 * @throws InputError `unsupported-format` for an op that has no ONNX form, naming the line that called it; `invalid-data` for facts
 * that make no sense
 */
export async function exportOnnx<D extends Dim>(
  detector: DividedDetector<D>,
  file: string,
  options: ExportOnnxOptions = {},
): Promise<ExportReport> {
  refuseUnknownKeys('exportOnnx', options, ['batch', 'size', 'precision', 'externalFromBytes', ...factKeys]);
  const { batch = 'free', size = 'fixed', precision = 'float32', externalFromBytes } = options;
  if (batch !== 'free' && !(Number.isInteger(batch) && batch >= 1)) {
    throw new InputError('invalid-option', `exportOnnx: batch is ${String(batch)}, expected a whole number above 0, or 'free'`);
  }
  if (!['fixed', 'free'].includes(size)) {
    throw new InputError('invalid-option', `exportOnnx: size is '${String(size)}', expected 'fixed' or 'free'`);
  }
  if (precision !== 'float32' && precision !== 'float16') {
    throw new InputError('invalid-option', `exportOnnx: precision is '${String(precision)}', expected float32 or float16`);
  }
  const parts = detector.parts();
  const description = describe(detector, parts, options);
  const metadata = descriptionMetadata(description);
  readDescription(new Map(Object.entries(metadata)), file); // a file that could not be read is not written
  const whole = graphOf(detector, parts, { batch, size });
  const graph = precision === 'float16' ? halfGraph(whole) : whole;
  const about = { opset, producer: 'mdt', producerVersion: '0.1.0', doc: `${detector.kind}: ${detector.classes.join(', ')}` };
  const files = await writeModel(
    file,
    { graph, metadata, ...about },
    externalFromBytes === undefined ? {} : { externalFromBytes },
  );
  return { files, nodes: graph.nodes.length, parameters: parameterCount(whole) };
}

function describe<D extends Dim>(
  { kind, dim, classes, inChannels, patchSize }: DividedDetector<D>,
  { decoding, sizeMultiple }: NetworkParts,
  options: ExportOnnxOptions,
): ModelDescription {
  const {
    precision = 'float32',
    spacing = null,
    orientation = null,
    normalisation = null,
    licence = null,
    version = null,
  } = options;
  return {
    ...{ format: formatVersion, kind, dim, classes, channels: inChannels, spacing, orientation, normalisation },
    patchSize: [...patchSize] as unknown as PerAxis,
    sizeMultiple: [...sizeMultiple] as unknown as PerAxis,
    ...{ precision, decoding },
    prediction: options.prediction ?? {
      ...{ minOverlap: null, mirror: [], minScore: 0 },
      consolidation: { method: 'wbc', iouThreshold: 1e-5, minCandidateScore: 0, minSide: 0 }, // of the original toolkit, as `createPredictor` has it
    },
    operatingPoints: options.operatingPoints ?? [],
    training: options.training ?? { dataHash: null, dataName: null },
    ...{ licence, version },
  };
}

/** The dense part, and the heads of a second stage, in one graph. */
function graphOf<D extends Dim>(
  { kind, dim, patchSize, inChannels }: DividedDetector<D>,
  { dense, heads, sizeMultiple }: NetworkParts,
  { batch, size }: { batch: number | 'free'; size: 'fixed' | 'free' },
): Graph {
  const sides = Array.from(patchSize as PerAxis, (n, d) => {
    if (size === 'fixed') return n;
    const name = axisNames[dim][d]!;
    return { name, sizes: [n, n + sizeMultiple[d]!] as const };
  });
  const images: NetworkInput = {
    name: 'images',
    shape: [batch === 'free' ? { name: 'batch', sizes: [1, 2] } : batch, ...sides, inChannels],
  };
  const graphs = [networkGraph(kind, ({ images }) => dense(images!), [images])];
  for (const [name, head] of Object.entries(heads) as [string, NonNullable<(typeof heads)['box']>][]) {
    const input = `${name}Pooled`;
    const shape = [{ name: `${name}Count`, sizes: [1, 2] as const }, ...head.input];
    const run = (inputs: Readonly<Record<string, tf.Tensor>>) => head.run(inputs[input]!);
    graphs.push(networkGraph(`${kind}: ${name} head`, run, [{ name: input, shape }]));
  }
  return joinedGraph(kind, graphs);
}
