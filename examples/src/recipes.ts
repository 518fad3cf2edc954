import type { ExperimentConfig } from '@mdt/toolkit';

/** What the demo learns; `dir` is the folder of its data set. */
export type Recipe = (dir: string) => ExperimentConfig;

/** What all recipes share: a schedule that ends at 0, averaged weights, gradients that no single batch can blow up. */
const training = {
  learningRate: 1e-3,
  schedule: 'cosine',
  warmUp: 0.05,
  clipNorm: 5,
  ema: 0.99,
  seed: 0,
  keep: 5,
} as const;

/** A 3D network that two processors train in minutes. */
const small3d = { kind: 'RetinaUNet3D', backbone: { startFilters: 8, norm: 'instance' }, headFilters: 32 } as const;

/** Many objects a patch, whose boxes few anchors meet well. */
const crowded3d = {
  matcher: { positive: 0.4, negative: 0.2 },
  sampler: { anchorsPerImage: 64, poolSize: 20, minNegatives: 4 },
};

/** 125 fluorescent nuclei of about 24 pixels in one image, cut into three parts. */
export const nuclei: Recipe = (dir) => ({
  data: { dir },
  detector: {
    kind: 'RetinaUNet2D',
    patchSize: [128, 128],
    backbone: { startFilters: 16, norm: 'instance' },
    headFilters: 64,
    // Sides from 12 to 48 pixels, in thirds of an octave at each level.
    anchors: {
      sizes: { P2: [12, 12], P3: [24, 24], P4: [38, 38] },
      aspectRatios: [0.6, 1, 1.7],
      octaves: 2,
      centered: true,
    },
    matcher: { positive: 0.5, negative: 0.3 },
    sampler: { anchorsPerImage: 256, poolSize: 10, negativesPerPositive: 1, minNegatives: 8 },
    nms: { iouThreshold: 0.4, maxPerImage: 100, minScore: 0.05 },
  },
  training: {
    ...training,
    epochs: 24,
    stepsPerEpoch: 25,
    batchSize: 4,
    foreground: 0.5,
    augment: { mirror: ['y', 'x'], rotate: Math.PI, scale: [0.75, 1.3], contrast: [0.7, 1.4], brightness: [-0.15, 0.15] },
    iouThresholds: [0.1, 0.5],
  },
  prediction: { minOverlap: 64, mirror: ['y', 'x'], batchSize: 4, iouThreshold: 0.4, best: 5 },
});

/** One disc or donut in 128×128 pixels of noise: the original toolkit's toy tasks, smaller. */
export const toy2d: Recipe = (dir) => ({
  data: { dir },
  detector: {
    kind: 'RetinaUNet2D',
    patchSize: [128, 128],
    backbone: { startFilters: 16, norm: 'instance' },
    headFilters: 64,
    anchors: { sizes: { P3: [32, 32], P4: [40, 40] }, aspectRatios: [1], octaves: 2, centered: true },
    matcher: { positive: 0.5, negative: 0.3 },
    sampler: { anchorsPerImage: 32, poolSize: 20, minNegatives: 4 },
    nms: { iouThreshold: 0.2, maxPerImage: 20, minScore: 0.05 },
  },
  training: {
    ...training,
    epochs: 20,
    stepsPerEpoch: 25,
    batchSize: 8,
    augment: { mirror: ['y', 'x'] },
    iouThresholds: [0.1, 0.5],
  },
  prediction: { mirror: ['y', 'x'], batchSize: 8, iouThreshold: 0.2, best: 3 },
});

/** The same in 3D: balls and shells, with slices twice as thick as pixels are wide. */
export const toy3d: Recipe = (dir) => ({
  data: { dir },
  detector: {
    ...small3d,
    patchSize: [32, 64, 64],
    anchors: { sizes: { P2: [10, 20, 20] }, aspectRatios: [1], octaves: 2, centered: true },
    matcher: { positive: 0.4, negative: 0.2 },
    sampler: { anchorsPerImage: 32, poolSize: 20, minNegatives: 4 },
    nms: { iouThreshold: 0.2, maxPerImage: 20, minScore: 0.05 },
  },
  training: {
    ...training,
    epochs: 15,
    stepsPerEpoch: 20,
    batchSize: 4,
    augment: { mirror: ['z', 'y', 'x'] },
    iouThresholds: [0.1, 0.5],
  },
  prediction: { minOverlap: 16, mirror: ['y', 'x'], batchSize: 4, iouThreshold: 0.2, best: 3 },
});

/** 20 fluorescent nuclei of about 30×50×50 voxels in one volume, cut into three parts. */
export const nuclei3d: Recipe = (dir) => ({
  data: { dir },
  detector: {
    ...small3d,
    patchSize: [32, 96, 96],
    anchors: { sizes: { P3: [18, 32, 32], P4: [26, 46, 46] }, aspectRatios: [0.7, 1, 1.4], octaves: 2, centered: true },
    ...crowded3d,
    nms: { iouThreshold: 0.3, maxPerImage: 30, minScore: 0.05 },
  },
  training: {
    ...training,
    epochs: 16,
    stepsPerEpoch: 20,
    batchSize: 2,
    foreground: 0.8,
    augment: { mirror: ['z', 'y', 'x'], rotate: Math.PI, scale: [0.8, 1.25], contrast: [0.8, 1.25] },
    iouThresholds: [0.1, 0.3],
  },
  prediction: { minOverlap: 16, mirror: ['y', 'x'], batchSize: 1, iouThreshold: 0.3, best: 3 },
});

/** Vertebrae and rib parts in a CT of 3 mm voxels. The labels are another model's output. */
export const ct: Recipe = (dir) => ({
  data: { dir },
  detector: {
    ...small3d,
    patchSize: [48, 64, 64],
    anchors: {
      sizes: { P2: [8, 10, 10], P3: [14, 20, 20], P4: [24, 30, 30] },
      aspectRatios: [0.6, 1, 1.7],
      octaves: 2,
      centered: true,
    },
    ...crowded3d,
    nms: { iouThreshold: 0.3, maxPerImage: 40, minScore: 0.05 },
  },
  training: {
    ...training,
    epochs: 16,
    stepsPerEpoch: 20,
    batchSize: 2,
    foreground: 0.8,
    augment: { mirror: ['x'], rotate: 0.3, scale: [0.85, 1.15], contrast: [0.8, 1.25] },
    iouThresholds: [0.1, 0.3],
  },
  prediction: { minOverlap: 24, mirror: ['x'], batchSize: 1, iouThreshold: 0.3, best: 3 },
});
