import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { registerGradients } from '@mdt/backbone';
import {
  type DetectPatchesOptions,
  type Dim,
  type GroundTruth,
  InputError,
  type PerAxis,
  product,
  type SafeTensor,
  volume,
} from '@mdt/core';
import { type DetectionResult, type Detector, detectPatches, type Losses, type TrainBatch } from '@mdt/detectors';
import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-cpu';
import { afterAll, beforeAll } from 'vitest';
import { spotBox } from '../../predictor/test/support.js';
import { runCli } from '../src/cli/run-cli.js';
import { readerOf } from '../src/data/case-reader.js';
import type { Dataset } from '../src/data/dataset.js';
import type { PatchBatch } from '../src/data/patches.js';
import { generateToy } from '../src/data/toy.js';

beforeAll(async () => {
  await tf.setBackend('cpu');
});

/** A folder that is removed when the test file is done. */
export async function temporaryFolder(): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'mdt-toolkit-'));
  afterAll(() => rm(dir, { recursive: true, force: true }));
  return dir;
}

const collector = () => {
  let text = '';
  const stream = new Writable({
    write(chunk, _, done) {
      text += String(chunk);
      done();
    },
  });
  return { stream, text: () => text };
};

/** Runs the command in this process. */
export async function mdt(...args: string[]): Promise<{ code: number; out: string; err: string }> {
  const [out, err] = [collector(), collector()];
  const code = await runCli(args, { stdout: out.stream, stderr: err.stream });
  return { code, out: out.text(), err: err.text() };
}

/** Eight small images, a quarter of them empty. */
export const smallToy = (dir: string): Promise<void> =>
  generateToy(dir, {
    task: 'donuts_shape',
    dim: 2,
    size: [32, 32],
    count: { train: 4, validation: 2, test: 2 },
    radius: 6,
    negatives: 0.25,
    seed: 1,
  });

/** A Retina U-Net small enough for the plain JavaScript engine. */
export const smallConfig = (dir: string) => ({
  data: { dir },
  detector: {
    kind: 'RetinaUNet2D',
    patchSize: [32, 32],
    headFilters: 4,
    backbone: { startFilters: 2, outChannels: 4, norm: 'instance' },
    anchors: { sizes: { P2: [10, 10], P3: [14, 14] }, aspectRatios: [1], octaves: 1 },
  },
  training: {
    epochs: 2,
    stepsPerEpoch: 2,
    batchSize: 2,
    learningRate: 1e-3,
    keep: 2,
    workers: 0,
    augment: { mirror: ['y', 'x'] },
  },
  prediction: { mirror: ['x'], best: 2, batchSize: 2 },
});

/**
 * A detector that can be followed on paper. It finds the box around the voxels above 0.5 and trains one weight: the loss is
 * (weight − mean of the images)².
 */
export class SpotDetector<D extends Dim> implements Detector<D> {
  readonly kind = 'SpotDetector';
  readonly classes = ['spot'];
  readonly inChannels: number = 1;
  #weight: tf.Variable | undefined;

  constructor(
    readonly dim: D,
    readonly patchSize: PerAxis<D>,
    private readonly start = 0,
  ) {}

  build(): void {
    registerGradients();
    this.#weight ??= tf.variable(tf.scalar(this.start));
  }

  get variables() {
    this.build();
    return [{ name: 'weight', variable: this.#weight! }];
  }

  get weight(): number {
    return this.variables[0]!.variable.dataSync()[0]!;
  }

  loss({ images }: TrainBatch<D>): Losses {
    const difference = tf.sub(this.variables[0]!.variable, tf.mean(images));
    const miss = tf.mul(difference, difference) as tf.Scalar;
    return { total: miss, parts: { miss } };
  }

  async detect(images: tf.Tensor): Promise<DetectionResult<D>> {
    const data = await images.data();
    const voxels = product(this.patchSize);
    const detections = Array.from({ length: images.shape[0]! }, (_, b) => {
      const box = spotBox(data.slice(b * voxels, (b + 1) * voxels), this.patchSize);
      const n = box ? 1 : 0;
      return {
        dim: this.dim,
        boxes: Float32Array.from(box ?? []),
        scores: new Float32Array(n).fill(0.9),
        labels: new Int32Array(n),
      };
    });
    const segmentation = tf.tidy(() => tf.concat([tf.sub(1, images), images], -1));
    return { detections, segmentation };
  }

  detectPatches(patches: Float32Array, count: number, options?: DetectPatchesOptions) {
    return detectPatches(this, patches, count, options);
  }

  async weights(): Promise<Map<string, SafeTensor>> {
    return new Map([['weight', { dtype: 'F32' as const, shape: [], data: Float32Array.of(this.weight) }]]);
  }

  setWeights(tensors: ReadonlyMap<string, SafeTensor>): void {
    const tensor = tensors.get('weight');
    if (!tensor) throw new InputError('invalid-checkpoint', 'SpotDetector: no tensor is named weight');
    this.variables[0]!.variable.assign(tf.scalar(Number(tensor.data[0])));
  }

  describe(): string {
    return 'SpotDetector';
  }

  dispose(): void {
    this.#weight?.dispose();
    this.#weight = undefined;
  }
}

/** Batches of one 4×4 image each, whose voxels all have the value that `value` gives. */
export const flatBatches = (value: (index: number) => number) => ({
  async batch(index: number): Promise<PatchBatch<2>> {
    const targets: GroundTruth<2>[] = [{ dim: 2, boxes: new Float32Array(0), labels: new Int32Array(0) }];
    const images = new Float32Array(16).fill(value(index));
    return {
      dim: 2,
      batchSize: 1,
      patchSize: [4, 4],
      channels: 1,
      images,
      targets,
      segmentation: new Int32Array(16),
      ids: ['flat'],
    };
  },
});

/** A data set in memory of one 4×4 image with a spot that `SpotDetector` finds. */
export function spotDataset(): Dataset<2> {
  const box = [1, 1, 3, 3];
  const data = Float32Array.from({ length: 16 }, (_, i) => (i % 4 >= 1 && i % 4 < 3 && i >= 4 && i < 12 ? 1 : 0));
  const image = volume({ dim: 2, size: [4, 4], data });
  const labelMap = { ...image, data: Int32Array.from(data) };
  const objects: GroundTruth<2> = { dim: 2, boxes: Float32Array.from(box), labels: Int32Array.of(0) };
  const dataset: Dataset<2> = {
    ...{ dim: 2, name: 'spots', classes: ['spot'], channels: 1, minVoxels: 1, ids: ['a'] },
    load: async (id) => ({ id, image, labelMap, objectLabels: Int32Array.of(0), objects }),
    reader: async (id) => readerOf(await dataset.load(id)),
    patientOf: (id) => id,
    classesOf: () => [0],
    sizeOf: () => [4, 4],
    subset: () => dataset,
    split: () => dataset,
  };
  return dataset;
}
