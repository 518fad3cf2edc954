import { type Dim, InputError, iou, product, rows } from '@mdt/core';
import type { DividedDetector } from '@mdt/detectors';
import type { LoadedDetector } from '@mdt/onnx';
import * as tf from '@tensorflow/tfjs-core';

export interface VerifyOptions {
  /** How far an output may be off, as a share of its greatest value (of 1, where that is less). Default 1e-4. */
  tolerance?: number;
}

/** What a comparison of a model file with its detector gave. */
export interface VerifyReport {
  readonly patches: number;
  /** The greatest difference of each output, as a share of its greatest value (of 1, where that is less). */
  readonly outputs: Readonly<Record<string, number>>;
  /** Detections of the detector, and those that the file found as well: same class, IoU above 0.99, score within 0.001. */
  readonly detections: number;
  readonly matched: number;
  /** Detections of the file that the detector does not have. */
  readonly extra: number;
  readonly isEqual: boolean;
}

/**
 * Compares a model file with the detector that it was made from, patch by patch: raw outputs, then detections.
 *
 * @param patches `[...patchSize, channels]` each
 * @throws InputError `shape-mismatch` for a file of another kind, other classes, channels or patch size
 */
export async function verifyExport<D extends Dim>(
  detector: DividedDetector<D>,
  loaded: LoadedDetector<D>,
  patches: Iterable<Float32Array> | AsyncIterable<Float32Array>,
  { tolerance = 1e-4 }: VerifyOptions = {},
): Promise<VerifyReport> {
  for (const key of ['kind', 'classes', 'inChannels', 'patchSize'] as const) {
    const [own, theirs] = [String(detector[key]), String(loaded[key])];
    if (own !== theirs)
      throw new InputError('shape-mismatch', `verifyExport: ${key} of the file is ${theirs}, of the detector ${own}`);
  }
  const outputs: Record<string, number> = {};
  let count = 0;
  let detections = 0;
  let matched = 0;
  let found = 0;
  for await (const patch of patches) {
    count++;
    const expected = await denseOutputs(detector, patch);
    const got = await loaded.network.dense(patch, 1, { segmentation: true });
    for (const [name, values] of Object.entries(expected)) {
      outputs[name] = Math.max(outputs[name] ?? 0, difference(values, outputOf(got, name)));
    }
    const own = rows((await detector.detectPatches(patch, 1, { masks: false, segmentation: false })).detections[0]!);
    const theirs = rows((await loaded.detectPatches(patch, 1, { masks: false, segmentation: false })).detections[0]!);
    detections += own.length;
    found += theirs.length;
    const free = new Set(theirs);
    for (const one of own) {
      const twin = [...free].find(
        ({ box, score, label }) => label === one.label && Math.abs(score - one.score) < 1e-3 && iou(box, one.box) > 0.99,
      );
      if (!twin) continue;
      free.delete(twin);
      matched++;
    }
  }
  if (count === 0) throw new InputError('empty-dataset', 'verifyExport: no patches were given');
  const isClose = Object.values(outputs).every((off) => off <= tolerance);
  return {
    patches: count,
    outputs,
    ...{ detections, matched, extra: found - matched },
    isEqual: isClose && matched === detections && found === matched,
  };
}

/** The greatest difference as a share of the greatest value; infinite where lengths differ or something is not a number. */
function difference(expected: Float32Array, got: Float32Array | undefined): number {
  if (got?.length !== expected.length) return Number.POSITIVE_INFINITY;
  let scale = 1;
  let worst = 0;
  for (let i = 0; i < expected.length; i++) {
    scale = Math.max(scale, Math.abs(expected[i]!));
    const off = Math.abs(expected[i]! - got[i]!);
    if (!(off <= worst)) worst = Number.isNaN(off) ? Number.POSITIVE_INFINITY : off;
  }
  return worst / scale;
}

async function denseOutputs<D extends Dim>(
  detector: DividedDetector<D>,
  patch: Float32Array,
): Promise<Record<string, Float32Array>> {
  const { patchSize, inChannels } = detector;
  if (patch.length !== product(patchSize) * inChannels) {
    const text = `verifyExport: a patch has ${patch.length} values, expected ${patchSize.join('x')} voxels and ${inChannels} channels`;
    throw new InputError('shape-mismatch', text);
  }
  const images = tf.tensor(patch, [1, ...patchSize, inChannels], 'float32');
  const outputs = tf.tidy(() => detector.parts().dense(images) as unknown as tf.NamedTensorMap);
  try {
    const values: Record<string, Float32Array> = {};
    for (const [name, tensor] of Object.entries(outputs)) values[name] = Float32Array.from(await tensor.data());
    return values;
  } finally {
    tf.dispose([images, outputs]);
  }
}

function outputOf(got: Awaited<ReturnType<LoadedDetector['network']['dense']>>, name: string): Float32Array | undefined {
  if (name === 'segmentation') return got.segmentation;
  const [, stem, level] = /^([a-z]+)(\d+)$/.exec(name) ?? [];
  if (stem === 'features') return got.features?.[Number(level)]?.values;
  return stem === 'logits' || stem === 'deltas' ? got[stem][Number(level)] : undefined;
}
