import { createSample } from '@mdt/augment';
import { rng } from '@mdt/core';
import { describe, expect, test } from 'vitest';
import { resolveConfig } from './config.js';
import { createAugmentation } from './create-augmentation.js';
import { createDetector } from './create-detector.js';

const least = { data: { dir: 'd' }, detector: { kind: 'RetinaUNet2D', patchSize: [64, 64] } };

test('three values are enough; the rest has defaults of the dimension', () => {
  const config = resolveConfig(least);
  expect(config.training).toMatchObject({
    batchSize: 8,
    learningRate: 1e-4,
    schedule: 'constant',
    keep: 5,
    iouThresholds: [0.1],
  });
  expect(config.prediction).toMatchObject({ minOverlap: 30, mirror: ['y', 'x'], best: 5, iouThreshold: 1e-5 });
  const in3d = resolveConfig({ ...least, detector: { kind: 'RetinaNet3D', patchSize: [32, 64, 64] } });
  expect(in3d.training.batchSize).toBe(2);
});

test('a resolved configuration resolves to itself', () => {
  const config = resolveConfig({ ...least, training: { minutes: 2, augment: false }, prediction: { best: 7 } });
  expect(resolveConfig(JSON.parse(JSON.stringify(config)))).toEqual(config);
  expect(config.training.keep).toBe(7);
});

describe('refuses, and names the place,', () => {
  const cases: [string, unknown, string, string][] = [
    [
      'an unknown key at the top',
      { ...least, trainings: {} },
      'unknown-option',
      "unknown option 'trainings', did you mean 'training'",
    ],
    ['an unknown key inside', { ...least, training: { learnigRate: 1 } }, 'unknown-option', "did you mean 'learningRate'"],
    [
      'an unknown key of a part',
      { ...least, detector: { ...least.detector, nms: { iou: 1 } } },
      'unknown-option',
      'config.detector.nms',
    ],
    [
      'an unknown detector',
      { ...least, detector: { ...least.detector, kind: 'RetinaUnet2D' } },
      'invalid-option',
      "did you mean 'RetinaUNet2D'",
    ],
    ['a missing data folder', { detector: least.detector, data: {} }, 'invalid-option', 'config.data.dir: expected a value'],
    ['a missing part', { data: least.data }, 'invalid-option', 'config.detector'],
    [
      'a patch of another dimension',
      { ...least, detector: { kind: 'RetinaNet3D', patchSize: [64, 64] } },
      'invalid-option',
      'expects 3 values',
    ],
    [
      'a text for a number',
      { ...least, training: { epochs: '3' } },
      'invalid-option',
      'config.training.epochs: expected a whole number',
    ],
    ['a share above 1', { ...least, training: { foreground: 1.5 } }, 'invalid-option', 'config.training.foreground'],
    ['an axis that 2D lacks', { ...least, prediction: { mirror: ['z'] } }, 'invalid-option', "RetinaUNet2D has no axis 'z'"],
    [
      'more checkpoints than are kept',
      { ...least, training: { keep: 2 }, prediction: { best: 3 } },
      'invalid-option',
      'training.keep is 2',
    ],
    [
      'a range upside down',
      { ...least, training: { augment: { scale: [2, 1] } } },
      'invalid-option',
      'config.training.augment.scale',
    ],
    [
      'a key that would change prototypes',
      JSON.parse('{"data":{"dir":"d"},"detector":{},"__proto__":{"x":1}}'),
      'unknown-option',
      '__proto__',
    ],
    ['a list', [], 'invalid-option', 'expected an object'],
  ];
  test.each(cases)('%s', (_, config, code, message) => {
    expect(() => resolveConfig(config)).toThrow(message);
    expect(() => resolveConfig(config)).toThrow(expect.objectContaining({ name: 'InputError', code }));
  });
});

test('a patch that the strides do not divide is refused with its sizes, before any variable is made', () => {
  const detector = { ...resolveConfig(least).detector, classes: ['a'], patchSize: [64, 50] };
  expect(() => createDetector(detector)).toThrow(expect.objectContaining({ code: 'invalid-patch-size' }));
  expect(() => createDetector(detector)).toThrow('50');
});

test('makes the detector that it names', () => {
  const detector = createDetector({
    kind: 'RetinaNet3D',
    classes: ['a', 'b'],
    patchSize: [32, 64, 64],
    inChannels: 2,
    backbone: { startFilters: 2 },
  });
  expect(detector).toMatchObject({ kind: 'RetinaNet3D', dim: 3, classes: ['a', 'b'], inChannels: 2, patchSize: [32, 64, 64] });
});

describe('augmentation', () => {
  test('cuts a margin that a full turn and the largest scale need: half of (√2 · 1.5 − 1) patches', () => {
    const { margin } = createAugmentation(2, { rotate: Math.PI, scale: [1, 1.5] }, [64, 64]);
    expect(margin).toEqual([36, 36]);
    expect(createAugmentation(3, { rotate: 0.1, scale: [1, 1.5] }, [32, 64, 64]).margin[0]).toBe(8);
    expect(createAugmentation(2, { mirror: ['x'] }, [64, 64]).margin).toEqual([0, 0]);
    expect(createAugmentation(2, false, [64, 64])).toEqual({ margin: [0, 0] });
  });

  test('runs every step that a configuration can name and gives the patch', () => {
    const plan = createAugmentation(
      2,
      { mirror: ['x'], rotate: 1, scale: [0.9, 1.1], elastic: {}, contrast: [0.9, 1.1], brightness: [-1, 1], noise: [0, 0.1] },
      [16, 16],
    );
    const size = [16 + 2 * plan.margin[0], 16 + 2 * plan.margin[1]] as const;
    const voxels = size[0] * size[1];
    const labelMap = new Int32Array(voxels).fill(1);
    const sample = createSample({
      dim: 2,
      size,
      channels: 1,
      image: new Float32Array(voxels),
      labelMap,
      objectLabels: Int32Array.of(0),
    });
    const result = plan.augmentation!(sample, rng(1)).sample;
    expect(result.size).toEqual([16, 16]);
    expect(Array.from(result.boxes)).toEqual([0, 0, 16, 16]);
  });
});
