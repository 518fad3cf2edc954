import '@tensorflow/tfjs-backend-cpu';
import { resNetFpn } from '@mdt/backbone';
import { type GroundTruth, InputError, rng } from '@mdt/core';
import * as tf from '@tensorflow/tfjs-core';
import { afterEach, describe, expect, test } from 'vitest';
import {
  boxCoder,
  type Detector,
  fromOriginalWeights,
  hardNegatives,
  originalName,
  RetinaNet2D,
  RetinaNet3D,
  RetinaUNet2D,
  RetinaUNet3D,
  toOriginalLayout,
} from '../src/index.js';

const small = { classes: ['round', 'square'], startFilters: 2, outChannels: 4, headFilters: 4 } as const;
const made: { dispose(): void }[] = [];
const keep = <T extends { dispose(): void }>(item: T): T => {
  made.push(item);
  return item;
};
afterEach(() => {
  for (const item of made.splice(0)) item.dispose();
});

const unet = (more: object = {}) => keep(new RetinaUNet2D({ ...small, patchSize: [32, 32], ...more }));

/** Bright squares on noise; an image per list of boxes. */
function toyBatch(boxes: number[][][], size = 32) {
  const random = rng('toy');
  const pixels = new Float32Array(boxes.length * size * size).map(() => 0.1 * random.normal());
  const map = new Int32Array(pixels.length);
  boxes.forEach((list, image) => {
    for (const [y1, x1, y2, x2] of list as [number, number, number, number][]) {
      for (let y = y1; y < y2; y++) {
        for (let x = x1; x < x2; x++) {
          pixels[(image * size + y) * size + x]! += 1;
          map[(image * size + y) * size + x] = 2;
        }
      }
    }
  });
  return keep({
    images: tf.tensor(pixels, [boxes.length, size, size, 1]),
    segmentation: tf.tensor(map, [boxes.length, size, size], 'int32'),
    targets: boxes.map(
      (list): GroundTruth<2> => ({ dim: 2, boxes: Float32Array.from(list.flat()), labels: Int32Array.from(list, () => 1) }),
    ),
    dispose() {
      tf.dispose([this.images, this.segmentation]);
    },
  });
}

const lossOf = (detector: RetinaUNet2D, batch: ReturnType<typeof toyBatch>) =>
  tf.tidy(() => detector.loss(batch, rng(0)).total.dataSync()[0]!);

describe('training', () => {
  test('brings the loss down within a few steps', () => {
    const detector = unet({ sampler: hardNegatives({ anchorsPerImage: 32 }) });
    const batch = toyBatch([[[6, 8, 18, 20]]]);
    const optimizer = tf.train.adam(0.02, 0.9, 0.999, 1e-8);
    const variables = detector.variables.map(({ variable }) => variable);
    const before = lossOf(detector, batch);
    for (let step = 0; step < 8; step++) {
      optimizer.minimize(() => detector.loss(batch, rng(step)).total, false, variables);
    }
    optimizer.dispose();
    expect(lossOf(detector, batch)).toBeLessThan(0.8 * before);
  });

  test('gives every variable a gradient, also when no image has an object', () => {
    const detector = unet();
    const batch = toyBatch([[], []]);
    const variables = detector.variables.map(({ variable }) => variable);
    const { value, grads } = tf.variableGrads(() => detector.loss(batch, rng(0)).total, variables);
    expect(Object.keys(grads)).toHaveLength(variables.length);
    expect(Number.isFinite(value.dataSync()[0])).toBe(true);
    for (const grad of Object.values(grads)) expect(grad.dataSync().every(Number.isFinite)).toBe(true);
    tf.dispose([value, grads]);
  });

  test('names the parts of the loss', () => {
    const parts = tf.tidy(() => {
      const { total, parts } = unet().loss(toyBatch([[[4, 4, 16, 16]], []]), rng(0));
      const values = Object.fromEntries(Object.entries(parts).map(([name, part]) => [name, part.dataSync()[0]!]));
      const sum = values.class! + values.box! + (values.dice! + values.crossEntropy!) / 2;
      expect(total.dataSync()[0]).toBeCloseTo(sum, 5);
      return values;
    });
    expect(Object.keys(parts)).toEqual(['class', 'box', 'dice', 'crossEntropy']);
  });

  test('and predicting leave no tensors behind', async () => {
    for (const options of [
      {},
      { backbone: resNetFpn({ dim: 2, startFilters: 2, outChannels: 4, strideOne: true, norm: 'batch' }) },
    ]) {
      const detector = keep(
        new RetinaUNet2D({
          classes: ['round', 'square'],
          headFilters: 4,
          patchSize: [32, 32],
          ...('backbone' in options ? options : small),
        }),
      );
      const batch = toyBatch([[[4, 4, 16, 16]], []]);
      const variables = detector.variables.map(({ variable }) => variable);
      const step = () => {
        const { value, grads } = tf.variableGrads(() => detector.loss(batch, rng(0)).total, variables);
        tf.dispose([value, grads]);
      };
      step();
      const before = tf.memory().numTensors;
      step();
      lossOf(detector, batch);
      (await detector.detect(batch.images)).segmentation!.dispose();
      expect(tf.memory().numTensors).toBe(before);
    }
  });
});

describe('detecting', () => {
  test('gives boxes inside the patch, best first, no more than asked for', async () => {
    const detector = keep(
      new RetinaNet3D({ ...small, patchSize: [8, 32, 32], nms: { maxPerImage: 7, iouThreshold: 0.3, minScore: 0 } }),
    );
    const images = tf.randomNormal([2, 8, 32, 32, 1], 0, 1, 'float32', 3);
    const { detections, segmentation } = await detector.detect(images);
    images.dispose();
    expect(segmentation).toBeUndefined();
    expect(detections).toHaveLength(2);
    for (const { boxes, scores, labels } of detections) {
      expect(labels).toHaveLength(7);
      expect(Array.from(scores)).toEqual(Array.from(scores).sort((a, b) => b - a));
      boxes.forEach((v, i) => {
        expect(v).toBeGreaterThanOrEqual(0);
        expect(v).toBeLessThanOrEqual([8, 32, 32][i % 3]!);
      });
    }
  });

  test('of an image does not depend on its batch mates', async () => {
    const detector = keep(new RetinaNet2D({ ...small, patchSize: [32, 32], nms: { preNmsTopK: 20, minScore: 0 } }));
    const { images } = toyBatch([[[4, 4, 16, 16]], [[8, 8, 30, 30]]]);
    const together = (await detector.detect(images)).detections[1]!;
    const second = tf.slice(images, [1, 0, 0, 0], [1, -1, -1, -1]);
    const alone = (await detector.detect(second)).detections[0]!;
    second.dispose();
    expect(Array.from(alone.labels)).toEqual(Array.from(together.labels));
    alone.boxes.forEach((v, i) => {
      expect(v).toBeCloseTo(together.boxes[i]!, 3);
    });
  });
});

describe('weights', () => {
  test('go from one detector to another', async () => {
    const [a, b] = [unet(), unet()];
    a.build(rng(1));
    b.build(rng(2));
    const batch = toyBatch([[[4, 4, 16, 16]]]);
    expect(lossOf(a, batch)).not.toBeCloseTo(lossOf(b, batch), 4);
    b.setWeights(await a.weights());
    expect(lossOf(a, batch)).toBe(lossOf(b, batch));
  });

  test('hold the running statistics of a batch norm', async () => {
    const names = [...(await unet({ norm: 'batch' }).weights()).keys()];
    expect(names).toContain('backbone.C1.norm.variance');
    expect(names).not.toContain('backbone.P1.output.weight');
  });

  test('that are missing, left over or of another shape are refused before anything changes', async () => {
    const detector = unet();
    const weights = await detector.weights();
    const [first] = weights.keys();
    const broken = (change: (tensors: typeof weights) => void) => {
      const copy = new Map(weights);
      change(copy);
      return () => detector.setWeights(copy);
    };
    expect(broken((w) => w.delete('segmenter.bias'))).toThrow("lack 'segmenter.bias' (2)");
    expect(broken((w) => w.set('head.bias', w.get('segmenter.bias')!))).toThrow("hold 'head.bias'");
    const wrong = broken((w) => w.set(first!, { dtype: 'F32', shape: [1], data: Float32Array.of(0) }));
    expect(wrong).toThrow(InputError);
    expect(wrong).toThrow('has the shape 1, expected 3x3x1x2');
  });

  test('survive the way to the Python toolkit’s layout and back', async () => {
    for (const detector of [unet(), keep(new RetinaUNet3D({ ...small, patchSize: [8, 32, 32], norm: 'batch' }))]) {
      detector.build(rng(3));
      const naming = { kind: detector.kind, norm: detector.dim === 3 ? 'batch' : 'none' } as const;
      const own = await (detector as Detector).weights();
      const theirs = new Map(
        Array.from(own, ([name, tensor]) => {
          const { shape, data } = toOriginalLayout(
            name,
            { shape: tensor.shape, data: tensor.data as Float32Array },
            detector.dim,
          );
          return [originalName(name, naming), { dtype: 'F32' as const, shape, data }] as const;
        }),
      );
      expect(theirs.size).toBe(own.size);
      expect(await fromOriginalWeights(detector as Detector, theirs)).toEqual(own);
    }
    const normed = { kind: 'RetinaUNet3D', norm: 'batch' } as const;
    expect(originalName('backbone.C2.0.spatial.norm.mean', normed)).toBe('Fpn.C2.1.conv2.0.1.running_mean');
    expect(originalName('backbone.C4.2.expand.weight', { kind: 'RetinaNet2D', norm: 'none' })).toBe('Fpn.C4.2.conv3.weight');
    expect(originalName('regressor.1.bias', normed)).toBe('BBRegressor.conv_2.0.bias');
  });
});

describe('parameters of the default heads are those of the original', () => {
  const count = (detector: Detector, head: string) =>
    detector.variables.filter(({ name }) => name.startsWith(head)).reduce((sum, { variable }) => sum + variable.size, 0);
  test('2D and 3D, without building the backbone', () => {
    const planar = keep(new RetinaNet2D({ classes: ['a', 'b'], patchSize: [32, 32], startFilters: 1, outChannels: 192 }));
    const volume = keep(new RetinaNet3D({ classes: ['a', 'b'], patchSize: [8, 32, 32], startFilters: 1, outChannels: 36 }));
    expect([count(planar, 'classifier'), count(planar, 'regressor')]).toEqual([2_275_099, 2_295_844]);
    expect([count(volume, 'classifier'), count(volume, 'regressor')]).toEqual([440_923, 487_606]);
  });
});

test('describes itself', () => {
  const text = unet().describe();
  expect(text).toContain('RetinaUNet2D: 2 classes (round, square)');
  expect(text).toContain('anchors 756, 9 per cell (P2 8x8: 576, P3 4x4: 144, P4 2x2: 36)');
});

describe('wrong input is refused by name', () => {
  const net = (options: object) => () => new RetinaNet2D({ ...small, patchSize: [32, 32], ...options } as never);
  test('options', () => {
    expect(net({ patchSize: [32, 40] })).toThrow('along x; the nearest size that fits is [32, 32]');
    expect(net({ patchSize: undefined })).toThrow('patchSize: expected 2 values (y, x), got 0');
    expect(net({ classes: [] })).toThrow('classes must be a list of different names');
    expect(net({ clases: ['a'] })).toThrow("unknown option 'clases', did you mean 'classes'?");
    expect(net({ segmentPerClass: true })).toThrow("unknown option 'segmentPerClass'");
    expect(net({ nms: { minScore: 2 } })).toThrow('minScore from 0 to 1');
    expect(net({ nms: { minScores: 0 } })).toThrow("did you mean 'minScore'?");
    expect(net({ boxCoder: boxCoder({ dim: 3 }) })).toThrow('boxCoder is for 3D, expected 2D');
    expect(net({ backbone: resNetFpn({ dim: 2 }) })).toThrow("'startFilters' describes the default backbone");
    expect(() => unet({ backbone: resNetFpn({ dim: 2 }), startFilters: undefined, outChannels: undefined })).toThrow(
      'set strideOne',
    );
  });

  test('images, targets and segmentations', async () => {
    const detector = unet();
    const batch = toyBatch([[[4, 4, 16, 16]]]);
    const loss = (change: object) => () => tf.tidy(() => detector.loss({ ...batch, ...change }, rng(0)).total.dataSync());
    const target = (boxes: number[], labels: number[]) => [
      { dim: 2, boxes: Float32Array.from(boxes), labels: Int32Array.from(labels) },
    ];
    await expect(detector.detect(tf.zeros([1, 32, 16, 1]))).rejects.toThrow('1x32x16x1, expected batch x 32x32x1');
    expect(loss({ targets: target([1, 1, 5, 5], [2]) })).toThrow('label 2, expected 0 to 1 (round, square)');
    expect(loss({ targets: target([5, 5, 1, 9], [0]) })).toThrow('box [5, 5, 1, 9] has no size');
    expect(loss({ targets: [] })).toThrow('0 targets for 1 images');
    expect(loss({ segmentation: undefined })).toThrow('segmentation has the shape (missing), expected 1x32x32');
  });
});
