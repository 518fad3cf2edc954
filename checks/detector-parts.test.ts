import { fpn, plainEncoder } from '@mdt/backbone';
import { type Dim, type GroundTruth, product, rng } from '@mdt/core';
import {
  allAnchors,
  atssMatcher,
  batchHardNegatives,
  binaryLoss,
  type CommonOptions,
  DetectionUNet2D,
  DetectionUNet3D,
  type Detector,
  diouLoss,
  FasterRCNN2D,
  FasterRCNN3D,
  focalLoss,
  giouLoss,
  hardNegatives,
  MaskRCNN2D,
  MaskRCNN3D,
  RetinaNet2D,
  RetinaNet3D,
  RetinaUNet2D,
  RetinaUNet3D,
  segmentationFromBoxes,
  segmentationLoss,
  type TrainBatch,
} from '@mdt/detectors';
import { useTorch } from '@mdt/tfjs-torch';
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, test } from 'vitest';

beforeAll(() => useTorch());

const patch = { 2: [32, 32], 3: [8, 32, 32] } as const;
const pools = { 2: [3, 3], 3: [2, 3, 3] } as const;

/** Two images: one with two bright objects of different classes, one with none. */
function exampleBatch<D extends Dim>(dim: D, channels = 1): TrainBatch<D> {
  const size = patch[dim];
  const boxes = dim === 2 ? [2, 3, 16, 15, 18, 18, 27, 26] : [1, 2, 3, 6, 16, 15, 2, 18, 18, 5, 27, 26];
  const targets = [
    { dim, boxes: Float32Array.from(boxes), labels: Int32Array.of(0, 1) },
    { dim, boxes: new Float32Array(0), labels: new Int32Array(0) },
  ] as GroundTruth<D>[];
  const map = segmentationFromBoxes(targets, size, { shape: 'box' });
  const random = rng('parts');
  const images = Float32Array.from({ length: map.length * channels }, (_, i) => {
    return map[Math.floor(i / channels)]! + 0.3 * random.normal();
  });
  return {
    images: tf.tensor(images, [2, ...size, channels]),
    targets,
    segmentation: tf.tensor(map, [2, ...size], 'int32'),
    instances: tf.tensor(map, [2, ...size], 'int32'),
  };
}

type Options = CommonOptions<2> & CommonOptions<3> & Record<string, unknown>;
const small = { startFilters: 2, outChannels: 4 };
const heads = { headFilters: 8 };
const second = (dim: Dim, more: object = {}) => ({ boxHead: { poolSize: pools[dim], filters: 16, ...more } });

/** Every detector by its name, made with some parts on top of small widths. */
const detectors: Record<string, { dim: Dim; make: (parts: object) => Detector }> = {};
for (const dim of [2, 3] as const) {
  const add = (name: string, Class: new (options: Options) => unknown, own: object = {}) => {
    const common = { classes: ['a', 'b'], patchSize: patch[dim], ...own };
    detectors[name] = {
      dim,
      make: (parts) => new Class({ ...common, ...('backbone' in parts ? {} : small), ...parts } as never) as Detector,
    };
  };
  type Any = new (options: never) => unknown;
  const classes = (pair: { 2: Any; 3: Any }) => pair[dim] as never;
  const two = { ...heads, ...second(dim), proposals: { training: 30, inference: 40, addTargets: true } };
  add(`RetinaNet${dim}D`, classes({ 2: RetinaNet2D, 3: RetinaNet3D }), heads);
  add(`RetinaUNet${dim}D`, classes({ 2: RetinaUNet2D, 3: RetinaUNet3D }), heads);
  add(`FasterRCNN${dim}D`, classes({ 2: FasterRCNN2D, 3: FasterRCNN3D }), two);
  add(`MaskRCNN${dim}D`, classes({ 2: MaskRCNN2D, 3: MaskRCNN3D }), {
    ...two,
    maskHead: { poolSize: dim === 2 ? [4, 4] : [2, 4, 4] },
  });
  add(`FasterRCNN${dim}D with segmenter`, classes({ 2: FasterRCNN2D, 3: FasterRCNN3D }), { ...two, segmenter: {} });
  add(`DetectionUNet${dim}D`, classes({ 2: DetectionUNet2D, 3: DetectionUNet3D }));
}

/** Steps on one batch until the loss is below its start, `most` at the most; the loss before each step. */
async function learn(detector: Detector, batch: TrainBatch, most = 24): Promise<number[]> {
  const optimizer = tf.train.adam(0.005, 0.9, 0.999, 1e-8);
  const variables = detector.variables.map(({ variable }) => variable);
  const losses: number[] = [];
  for (let step = 0; step < most; step++) {
    const { value, grads } = tf.variableGrads(() => detector.loss(batch, rng('draws')).total, variables);
    expect(Object.keys(grads)).toHaveLength(variables.length);
    optimizer.applyGradients(grads as Record<string, tf.Variable>);
    losses.push((await value.data())[0]!);
    tf.dispose([value, grads]);
    if (losses.at(-1)! < losses[0]!) break;
  }
  optimizer.dispose();
  return losses;
}

const anchored = Object.keys(detectors).filter((name) => !name.startsWith('DetectionUNet'));
const twoStage = Object.keys(detectors).filter((name) => /RCNN/.test(name));
const segmenting = Object.keys(detectors).filter((name) => /UNet|segmenter/.test(name));
const parts: [string, (dim: Dim) => object, string[]][] = [
  ['its defaults', () => ({}), Object.keys(detectors)],
  ['focal loss on all anchors', () => ({ classLoss: focalLoss(), sampler: allAnchors() }), anchored],
  [
    'binary cross entropy, GIoU and nnDetection’s sampler',
    () => ({ classLoss: binaryLoss(), boxLoss: giouLoss(), sampler: batchHardNegatives() }),
    anchored,
  ],
  ['DIoU and ATSS matching', () => ({ boxLoss: diouLoss(), matcher: atssMatcher() }), anchored],
  ['hard negatives over the batch', () => ({ sampler: hardNegatives({ meanOver: 'batch', anchorsPerImage: 16 }) }), anchored],
  [
    'focal loss, GIoU and nnDetection’s sampler in its second stage',
    (dim) => second(dim, { classLoss: focalLoss(), boxLoss: giouLoss(), sampler: batchHardNegatives() }),
    twoStage,
  ],
  [
    'single-sample RoIAlign and DIoU in its second stage',
    (dim) => second(dim, { sampling: 'single', boxLoss: diouLoss(), classLoss: binaryLoss() }),
    twoStage,
  ],
  [
    'a focal, weighted segmentation loss',
    () => ({ segmentationLoss: segmentationLoss({ focalGamma: 2, classWeights: [1, 2, 2] }), segmentPerClass: true }),
    segmenting,
  ],
  [
    'batch norm and leaky ReLU',
    () => ({ norm: 'batch', activation: 'leakyRelu', init: 'kaiming-normal' }),
    Object.keys(detectors),
  ],
  [
    'an nnU-Net-style backbone',
    (dim) => ({
      backbone: fpn(
        plainEncoder<Dim>({ dim, startFilters: 4, strides: dim === 2 ? [1, 2, 2, 2, 2] : ([1, [1, 2, 2], 2, 2, 2] as never) }),
        { outChannels: 8 },
      ),
    }),
    Object.keys(detectors),
  ],
];

describe('each part in each detector: the loss is finite and falls', () => {
  for (const [title, make, names] of parts) {
    for (const name of names) {
      test(`${name} with ${title}`, async () => {
        const { dim, make: construct } = detectors[name]!;
        const given = make(dim) as Record<string, unknown>;
        // A Faster R-CNN keeps the options of its segmenter in one object; a Detection U-Net always segments every class.
        const { segmentPerClass, segmentationLoss: loss, ...rest } = given;
        const own = name.includes('segmenter')
          ? { ...rest, ...(loss ? { segmenter: { loss } } : {}) }
          : {
              ...rest,
              ...(loss ? { segmentationLoss: loss } : {}),
              ...(segmentPerClass && name.startsWith('RetinaUNet') ? { segmentPerClass } : {}),
            };
        const detector = construct(own);
        const batch = exampleBatch(dim);
        const before = detector.variables.length > 0 ? tf.memory().numTensors : 0;
        const losses = await learn(detector, batch);
        expect(losses.every(Number.isFinite)).toBe(true);
        expect(losses.at(-1)).toBeLessThan(losses[0]!);
        expect(tf.memory().numTensors).toBe(before);
        detector.dispose();
        tf.dispose(batch as unknown as tf.TensorContainer);
      });
    }
  }
});

describe('what a batch may hold', () => {
  test.each(Object.keys(detectors))('%s: several channels, no object at all', async (name) => {
    const { dim, make } = detectors[name]!;
    const detector = make({ inChannels: 3 });
    detector.build();
    const batch = exampleBatch(dim, 3);
    const empty = { ...batch, targets: [batch.targets[1]!, batch.targets[1]!] } as TrainBatch;
    const { value, grads } = tf.variableGrads(() => detector.loss(empty, rng(0)).total);
    expect(Number.isFinite((await value.data())[0])).toBe(true);
    for (const gradient of Object.values(grads)) expect((await gradient.data()).every(Number.isFinite)).toBe(true);
    const { detections, segmentation, masks } = await detector.detect(batch.images);
    expect(detections).toHaveLength(2);
    expect(segmentation === undefined).toBe(!segmenting.includes(name));
    if (name.startsWith('MaskRCNN')) {
      masks!.forEach((own, i) => {
        expect(own).toHaveLength(detections[i]!.labels.length * product(patch[dim]));
      });
    }
    tf.dispose([value, grads, segmentation ?? []]);
    detector.dispose();
    tf.dispose(batch as unknown as tf.TensorContainer);
  });

  test('Mask R-CNN learns from boxes alone: with masks drawn in them, or without any', async () => {
    const batch = exampleBatch(2);
    const { instances, ...boxesOnly } = batch;
    const make = (pseudoMasks?: string) =>
      detectors.MaskRCNN2D!.make({ maskHead: { poolSize: [4, 4], ...(pseudoMasks && { pseudoMasks }) } });
    expect(() => tf.tidy(() => make().loss(boxesOnly, rng(0)).total)).toThrow('neither masks nor instances');
    const mask = (detector: Detector, given: TrainBatch<2>) =>
      tf.tidy(() => detector.loss(given, rng(0)).parts.mask!.dataSync()[0] as number);
    expect(mask(make('none'), boxesOnly)).toBe(0);
    // The objects are cuboids, so masks drawn as boxes are the true ones.
    expect(mask(make('box'), boxesOnly)).toBeCloseTo(mask(make(), batch), 5);
    const ellipsoid = mask(make('ellipsoid'), boxesOnly);
    expect(ellipsoid).toBeGreaterThan(0);
    tf.dispose([instances!]);
    tf.dispose(boxesOnly as unknown as tf.TensorContainer);
  });
});
