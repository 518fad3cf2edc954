// What spec'd slips of the original toolkit do, and that they are absent unless `legacy` asks for them. One test each.
import '@tensorflow/tfjs-backend-cpu';
import { resNetFpn } from '@mdt/backbone';
import { rng } from '@mdt/core';
import * as tf from '@tensorflow/tfjs-core';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import {
  anchorGrid,
  boxCoder,
  FasterRCNN2D,
  hardNegatives,
  iouMatcher,
  MaskRCNN2D,
  objectsOf,
  postprocess,
  proposalMatcher,
  RetinaNet2D,
  RetinaUNet2D,
} from '../src/index.js';

const features = [{ name: 'P2', stride: [8, 8] as const, channels: 1 }];
const grid = anchorGrid(2, features, [32, 32], { sizes: { P2: [8, 8] }, aspectRatios: [1], octaves: 1 });
const small = { classes: ['a', 'b'], patchSize: [32, 32], startFilters: 2, outChannels: 4 } as const;
const two = { ...small, headFilters: 4, boxHead: { poolSize: [2, 2], filters: 4 } } as const;
const target = (boxes: number[], labels: number[]) => ({
  dim: 2 as const,
  boxes: Float32Array.from(boxes),
  labels: Int32Array.from(labels),
});

test('height and width errors weigh the same', () => {
  const [, , height, width] = boxCoder({ dim: 2 }).encode([0, 0, 20, 20], [5, 5, 15, 15]);
  expect(height).toBeCloseTo(width!);
  const old = new RetinaNet2D({ ...small, headFilters: 4, legacy: true }).boxCoder.encode([0, 0, 20, 20], [5, 5, 15, 15]);
  expect(old[2]).toBeCloseTo(2 * old[3]!);
});

test('a large predicted size stays finite', () => {
  const deltas = [0, 0, 1e4, 1e4];
  expect(boxCoder({ dim: 2 }).decode(deltas, [0, 0, 8, 8]).every(Number.isFinite)).toBe(true);
  const old = new RetinaNet2D({ ...small, headFilters: 4, legacy: true }).boxCoder;
  expect(old.decode(deltas, [0, 0, 8, 8]).every(Number.isFinite)).toBe(false);
});

test('two-stage detectors take several sizes per level', () => {
  const sizes = {
    P2: [
      [8, 8],
      [12, 12],
    ],
    P3: [
      [16, 16],
      [24, 24],
    ],
  } as const;
  expect(new FasterRCNN2D({ ...two, anchors: { sizes } }).anchors.anchorsPerCell).toBe(6);
});

test('an object that no anchor overlaps makes none positive', () => {
  const away = target([100, 100, 110, 110], [0]);
  expect(iouMatcher().match(grid, away).positives).toHaveLength(0);
  expect(iouMatcher({ legacy: true }).match(grid, away).positives).toHaveLength(1);
});

test('a forced anchor regresses to the object it was forced for', () => {
  // Both objects want the anchor at (8, 8); the second overlaps it less and gets its next best.
  const both = target([4, 4, 12, 12, 6, 6, 15, 15], [0, 1]);
  const { positives, targets, labels } = iouMatcher({ positive: 0.95 }).match(grid, both);
  expect(new Set(targets)).toEqual(new Set([0, 1]));
  expect(Array.from(labels)).toEqual(Array.from(targets));
  expect(new Set(positives).size).toBe(2);
});

test('a forced match is not dropped before others', () => {
  const matching = {
    states: Uint8Array.of(2, 2, 2),
    positives: Int32Array.of(0, 1, 2),
    labels: Int32Array.of(0, 0, 0),
    targets: Int32Array.of(0, 0, 1),
    forced: Uint8Array.of(0, 0, 1),
  };
  for (let seed = 0; seed < 10; seed++) {
    const input = [{ matching, hardness: new Float64Array(3) }];
    expect(Array.from(hardNegatives({ anchorsPerImage: 2 }).sample(input, rng(seed))[0]!.positives)).toEqual([2]);
  }
});

test('thresholds of proposals are options', () => {
  const proposals = Float32Array.of(0, 0, 10, 10);
  const object = target([0, 0, 10, 6], [0]); // IoU 0.6
  expect(proposalMatcher().match(proposals, object).positives).toHaveLength(1);
  expect(proposalMatcher({ positive: 0.7 }).match(proposals, object).positives).toHaveLength(0);
});

test('an image’s detections do not depend on its batch mates', async () => {
  const options = {
    grid,
    coder: boxCoder({ dim: 2 }),
    patchSize: [32, 32] as const,
    numClasses: 1,
    nms: { iouThreshold: 0.5, maxPerImage: 4, minScore: 0, preNmsTopK: 2 },
  };
  const scores = (v: number) => Array.from({ length: grid.length }, () => [1 - v, v]).flat();
  const deltas = [new Float64Array(2 * grid.length * 4)];
  const both = { batchSize: 2, probabilities: [Float64Array.from([...scores(0.9), ...scores(0.2)])], deltas };
  expect((await postprocess(both, options)).map(({ labels }) => labels.length)).toEqual([2, 2]);
  expect((await postprocess(both, { ...options, legacy: true })).map(({ labels }) => labels.length)).toEqual([2, 0]);
});

describe('inference of two-stage detectors', () => {
  beforeEach(() => tf.engine().startScope());
  afterEach(() => tf.engine().endScope());

  const images = () => tf.randomNormal([1, 32, 32, 1], 0, 1, 'float32', 5);

  test('has its own number of proposals', () => {
    for (const [legacy, expected] of [
      [false, 9],
      [true, 4],
    ] as const) {
      const detector = new FasterRCNN2D({ ...two, legacy, proposals: { training: 4, inference: 9, iouThreshold: 1 } });
      const found = detector.propose(detector.forward(images(), 'predict'), 1, 'inference');
      expect(found[0]!.scores.length).toBe(expected);
      detector.dispose();
    }
  });

  test('gives nothing where no score is high enough', async () => {
    for (const [legacy, expected] of [
      [false, 0],
      [true, 1],
    ] as const) {
      const detector = new FasterRCNN2D({ ...two, legacy, nms: { minScore: 1 } });
      const x = images();
      const { detections } = await detector.detect(x);
      x.dispose();
      expect(detections[0]!.labels.length).toBe(expected);
      detector.dispose();
    }
  });

  test('has no proposals without size among its candidates', () => {
    const detector = new FasterRCNN2D({ ...two, proposals: { training: 2000, preNmsTopK: 2000 } });
    const [found] = detector.propose(detector.forward(images(), 'predict'), 1, 'training');
    const { boxes } = found!;
    for (let i = 0; i < boxes.length; i += 4)
      expect(Math.min(boxes[i + 2]! - boxes[i]!, boxes[i + 3]! - boxes[i + 1]!)).toBeGreaterThan(0);
    detector.dispose();
  });

  test('reads large boxes from the last of five levels', () => {
    const backbone = resNetFpn({ dim: 2, startFilters: 2, outChannels: 4, sixthPooling: true });
    const { startFilters: _s, outChannels: _o, ...rest } = two;
    const detector = new FasterRCNN2D({ ...rest, patchSize: [128, 128], backbone });
    const head = tf.tidy(() => {
      const { features } = detector.forward(tf.zeros([1, 128, 128, 1]), 'predict');
      return detector.runBoxHead(features, Float32Array.of(0, 0, 128, 128), Int32Array.of(0), 'predict').logits.shape;
    });
    expect(detector.anchors.levels).toHaveLength(5);
    expect(head).toEqual([1, 3]);
    detector.dispose();
  });

  test('reads masks where the boxes are, in patches that are not square too', async () => {
    const options = { ...two, patchSize: [32, 64], maskHead: { poolSize: [2, 2] } } as const;
    const [now, old] = [new MaskRCNN2D(options), new MaskRCNN2D({ ...options, legacy: true })];
    const x = tf.randomNormal([1, 32, 64, 1], 0, 1, 'float32', 5);
    const box = Float32Array.of(4, 20, 20, 36);
    const read = (detector: MaskRCNN2D) =>
      tf.tidy(() => {
        const { features } = detector.forward(x, 'predict');
        const at = (b: Float32Array) => detector.runMaskHead(features, b, Int32Array.of(0), 'predict').dataSync()[0];
        return [detector.detectedMasks(features, box, Int32Array.of(0)).dataSync()[0], at(box)];
      });
    const [a, b] = read(now);
    expect(a).toBe(b);
    const [c, d] = read(old); // divided by the height along x as well
    expect(c).not.toBe(d);
    tf.dispose(x);
    now.dispose();
    old.dispose();
  });
});

test('logits have no norm', () => {
  const detector = new FasterRCNN2D({ ...two, norm: 'batch', segmenter: {} });
  expect(detector.variables.some(({ name }) => name.startsWith('segmenter.norm'))).toBe(false);
  const old = new FasterRCNN2D({ ...two, norm: 'batch', segmenter: {}, legacy: true });
  expect(old.variables.some(({ name }) => name.startsWith('segmenter.norm'))).toBe(true);
});

test('no parameter is made that nothing uses', () => {
  const names = new FasterRCNN2D({ ...two, segmenter: {} }).variables.map(({ name }) => name);
  expect(names.filter((name) => /^maskHead|P1\.output/.test(name))).toEqual([]);
});

test('every axis is checked against the strides', () => {
  expect(() => new RetinaUNet2D({ ...small, patchSize: [32, 48] })).toThrow('along x; the nearest size that fits is [32, 64]');
  const backbone = resNetFpn({ dim: 2, sixthPooling: true });
  expect(() => new RetinaNet2D({ classes: ['a'], patchSize: [96, 64], backbone })).toThrow('nearest size that fits is [128, 64]');
});

test('a segmenter has as many outputs as classes are asked for', () => {
  const outputs = (segmentPerClass: boolean) =>
    new RetinaUNet2D({ ...small, headFilters: 4, segmentPerClass }).variables.find(({ name }) => name === 'segmenter.bias')!
      .variable.size;
  expect([outputs(false), outputs(true)]).toEqual([2, 3]);
});

test('segmented objects have one convention along every axis, and a full patch is an object', () => {
  const found = objectsOf(
    3,
    Float32Array.from({ length: 16 }, (_, i) => (i % 2 ? 0.9 : 0.1)),
    [2, 2, 2],
    {
      ...{ numClasses: 1, maxPerClass: 5, minScore: 0.1, score: 'max' as const },
    },
  );
  expect(Array.from(found.boxes)).toEqual([0, 0, 0, 2, 2, 2]);
});

describe('what types cannot see is refused when the detector is made', () => {
  test('anchors larger than the patch', () => {
    const make = (size: number) => new RetinaNet2D({ ...small, headFilters: 4, anchors: { sizes: { P2: [size, size] } } });
    expect(() => make(96)).toThrow('larger than the patch of 32x32');
    expect(() => make(96)).toThrow('sizes up to');
    expect(make(16).anchors.length).toBeGreaterThan(0);
  });

  test('an object that no anchor can match', () => {
    const make = (side: number) => new RetinaNet2D({ ...small, headFilters: 4, smallestObject: [side, side] });
    expect(() => make(3)).toThrow(/no anchor can match an object of 3x3 voxels.*The smallest that can be matched has 6x6/);
    expect(make(6).patchSize).toEqual([32, 32]);
  });

  test('classes that were not declared', () => {
    expect(() => new RetinaNet2D({ ...small, headFilters: 4 }).label('c' as never)).toThrow(
      "there is no class 'c', expected a, b",
    );
  });
});

test('describe() says how well the anchors fit a data set', () => {
  const detector = new RetinaNet2D({ ...small, headFilters: 4 });
  // An anchor of P2 exactly, moved by whole strides of the coarsest level; and an object far too small.
  const text = detector.describe({ targets: [target([1000 - 4, 32 - 4, 1000 + 4, 32 + 4], [0]), target([5, 5, 6, 6], [1])] });
  expect(text).toContain('objects 2, 50.0 % covered by an anchor at IoU 0.5');
});
