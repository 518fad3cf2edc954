import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { product, rng } from '@mdt/core';
import type { DividedDetector } from '@mdt/detectors';
import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-cpu';
import { afterAll, beforeAll } from 'vitest';
import { smallDetectors } from '../../detectors/test/small-detectors.js';

export const useCpu = (): void =>
  beforeAll(async () => {
    tf.enableProdMode();
    await tf.setBackend('cpu');
  });

/** A folder that is removed when the test file is done. */
export async function temporaryFolder(): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'mdt-onnx-'));
  afterAll(() => rm(dir, { recursive: true, force: true }));
  return dir;
}

/** One of the ten, with weights. */
export function small(kind: string, seed = 5): DividedDetector {
  const detector = smallDetectors[kind]!();
  detector.build(rng(seed));
  return detector;
}

export const kinds = Object.keys(smallDetectors);

/** Patches of strong noise, in which untrained networks find something. */
export function noise({ patchSize, inChannels }: Pick<DividedDetector, 'patchSize' | 'inChannels'>, count: number): Float32Array {
  const random = rng(6);
  return Float32Array.from({ length: count * product(patchSize) * inChannels }, () => 30 * random.normal());
}

/** The raw outputs of the dense part. */
export async function denseOutputs(
  detector: DividedDetector,
  patches: Float32Array,
  shape: readonly number[],
): Promise<Record<string, Float32Array>> {
  const images = tf.tensor(patches, [...shape]);
  const outputs = tf.tidy(() => detector.parts().dense(images) as unknown as tf.NamedTensorMap);
  const values: Record<string, Float32Array> = {};
  for (const [name, tensor] of Object.entries(outputs)) values[name] = Float32Array.from(await tensor.data());
  tf.dispose([images, outputs]);
  return values;
}
