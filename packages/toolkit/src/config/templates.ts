import { type Dim, InputError } from '@mdt/core';
import { type Check, defaultsOf } from './checks.js';
import type { ExperimentConfig } from './config.js';
import { standardText } from './reference.js';
import { configCheck } from './schema.js';

export const templateNames = ['toy', 'nuclei', 'lidc', 'own'] as const;
export type TemplateName = (typeof templateNames)[number];

export interface TemplateOptions {
  template: TemplateName;
  /** Axes of the network. Default 2. `toy` and `nuclei` have their own data in each. */
  dim?: Dim;
  /** Folder of the data set. */
  data: string;
}

/** The configuration that a template stands for. */
export function templateConfig({ template, dim = 2, data }: TemplateOptions): ExperimentConfig {
  const make = templates[template];
  if (!make) {
    throw new InputError('invalid-option', `template '${template}', expected one of ${templateNames.join(', ')}`);
  }
  return make(data, dim);
}

/** Sides of anchors in the original's configurations: 8 to 64 pixels, along z 2 to 16 slices. */
const originalSizes = {
  2: { P2: [8, 8], P3: [16, 16], P4: [32, 32], P5: [64, 64] },
  3: { P2: [2, 8, 8], P3: [4, 16, 16], P4: [8, 32, 32], P5: [16, 64, 64] },
};

const templates: Record<TemplateName, (dir: string, dim: Dim) => ExperimentConfig> = {
  // The original's toy experiment: 320x320 pixels, no augmentation, two anchors per image.
  toy: (dir, dim) => ({
    data: { dir },
    detector: {
      kind: `MaskRCNN${dim}D`,
      patchSize: dim === 2 ? [320, 320] : [32, 64, 64],
      backbone: { startFilters: dim === 2 ? 48 : 18 },
      ...(dim === 2 && { anchors: { sizes: originalSizes[2] } }),
      sampler: { anchorsPerImage: 2 },
      boxHead: { sampler: { anchorsPerImage: 2 }, ...(dim === 2 && { chunkSize: 800 }) },
      nms: { maxPerImage: dim === 2 ? 3 : 8 },
    },
    training: {
      epochs: 24,
      stepsPerEpoch: 100,
      batchSize: dim === 2 ? 20 : 8,
      learningRate: 1e-4,
      augment: false,
      validation: 'patients',
      iouThresholds: [0.1],
      keep: 5,
      seed: 0,
    },
    prediction: { mirror: ['y', 'x'], minScore: 0.1, best: 5 },
  }),
  nuclei: (dir, dim) => ({
    data: { dir },
    detector: {
      kind: `RetinaUNet${dim}D`,
      patchSize: dim === 2 ? [128, 128] : [32, 96, 96],
      backbone: { startFilters: dim === 2 ? 16 : 8, norm: 'instance' },
      headFilters: dim === 2 ? 64 : 32,
      anchors: {
        sizes: dim === 2 ? { P2: [12, 12], P3: [24, 24], P4: [38, 38] } : { P3: [18, 32, 32], P4: [26, 46, 46] },
        aspectRatios: dim === 2 ? [0.6, 1, 1.7] : [0.7, 1, 1.4],
        octaves: 2,
        centered: true,
      },
      matcher: dim === 2 ? { positive: 0.5, negative: 0.3 } : { positive: 0.4, negative: 0.2 },
      sampler: { anchorsPerImage: dim === 2 ? 256 : 64, poolSize: 10, minNegatives: 8 },
      nms: { iouThreshold: 0.4, maxPerImage: 100, minScore: 0.05 },
    },
    training: {
      epochs: 24,
      stepsPerEpoch: 25,
      batchSize: dim === 2 ? 4 : 2,
      learningRate: 1e-3,
      schedule: 'cosine',
      warmUp: 0.05,
      clipNorm: 5,
      ema: 0.99,
      augment: { mirror: ['y', 'x'], rotate: Math.PI, scale: [0.75, 1.3], contrast: [0.7, 1.4] },
      iouThresholds: [0.1, 0.5],
      seed: 0,
    },
    prediction: { mirror: ['y', 'x'], iouThreshold: 0.4, best: 5 },
  }),
  // The original's LIDC experiment.
  lidc: (dir, dim) => ({
    data: { dir, folds: { folds: 5, fold: 0, seed: 0 }, ...(dim === 2 && { slices: { context: 0, mergeIouThreshold: 0.1 } }) },
    detector: {
      kind: `RetinaUNet${dim}D`,
      classes: ['benign', 'malignant'],
      patchSize: dim === 2 ? [288, 288] : [64, 128, 128],
      backbone: { depth: 50, startFilters: dim === 2 ? 48 : 18, outChannels: dim === 2 ? 192 : 36, norm: 'none' },
      anchors: { sizes: originalSizes[dim], aspectRatios: [0.5, 1, 2], octaves: 3 },
      sampler: { anchorsPerImage: 6, poolSize: 20 },
      nms: { maxPerImage: dim === 2 ? 10 : 30, minScore: 0.1 },
    },
    training: {
      epochs: 100,
      stepsPerEpoch: 200,
      batchSize: dim === 2 ? 20 : 8,
      learningRate: 1e-4,
      foreground: 0.5,
      augment: {
        mirror: dim === 2 ? ['y', 'x'] : ['z', 'y', 'x'],
        rotate: Math.PI,
        scale: [0.8, 1.1],
        ...(dim === 2 && { elastic: { alpha: [0, 1500] as const, sigma: [30, 50] as const } }),
      },
      validation: 'patches',
      validationPatches: 50,
      iouThresholds: [0.1],
      selectBy: ['ap:malignant', 'ap:benign'],
      keep: 5,
      seed: 0,
    },
    prediction: { minOverlap: 30, mirror: ['y', 'x'], iouThreshold: 1e-5, minScore: 0.1, best: 5 },
  }),
  own: (dir, dim) => ({
    data: { dir },
    detector: {
      kind: `RetinaUNet${dim}D`,
      patchSize: dim === 2 ? [128, 128] : [32, 64, 64],
      backbone: { startFilters: 16, norm: 'instance' },
    },
    training: {
      epochs: 60,
      stepsPerEpoch: 50,
      learningRate: 1e-3,
      schedule: 'cosine',
      warmUp: 0.05,
      clipNorm: 5,
      ema: 0.99,
      iouThresholds: [0.1, 0.5],
      seed: 0,
    },
    prediction: { mirror: ['y', 'x'] },
  }),
};

/**
 * A configuration as TypeScript: every key with its meaning; the keys of `data`, `training` and `prediction` that are left out stand there as
 * comments, with their defaults.
 */
export function configSource(config: ExperimentConfig): string {
  const dim = config.detector.kind.endsWith('3D') ? 3 : 2;
  const sections = Object.entries(configCheck.fields!).map(([name, check]) => {
    const values = (config as Record<string, Record<string, unknown>>)[name] ?? {};
    const shown = objectLines(values, check, '    ');
    const left = name === 'detector' ? [] : leftOut(values, check, dim, '    ');
    return [`  // ${check.doc!.text}`, `  ${name}: {`, ...shown, ...left, '  },'].join('\n');
  });
  return `import type { ExperimentConfig } from '@mdt/toolkit';

// Every key, its values and its default: docs/config.md
export default {
${sections.join('\n\n')}
} satisfies ExperimentConfig;
`;
}

function objectLines(values: Record<string, unknown>, check: Check<unknown>, indent: string): string[] {
  return Object.entries(values).flatMap(([key, value]) => {
    const field = check.fields?.[key];
    const note = field?.doc ? [`${indent}// ${field.doc.text}`] : [];
    const isObject = typeof value === 'object' && value !== null && !Array.isArray(value);
    if (isObject && field?.fields) {
      return [
        ...note,
        `${indent}${key}: {`,
        ...objectLines(value as Record<string, unknown>, field, `${indent}  `),
        `${indent}},`,
      ];
    }
    return [...note, `${indent}${key}: ${literal(value)},`];
  });
}

/** Keys that the configuration does not name, as comments. */
function leftOut(values: Record<string, unknown>, check: Check<unknown>, dim: Dim, indent: string): string[] {
  const standards = defaultsOf(check, dim);
  return Object.entries(check.fields!).flatMap(([key, field]) => {
    if (key in values) return [];
    const value = field.fields ? sketch(field, dim) : key in standards ? literal(standards[key]) : '…';
    const note = key in standards ? field.doc!.text : `${field.doc!.text} (default: ${standardText(field) || 'none'})`;
    return [`${indent}// ${key}: ${value}, // ${note}`];
  });
}

/** An object that nobody has to give, with the defaults of its keys. */
function sketch(check: Check<unknown>, dim: Dim): string {
  const standards = defaultsOf(check, dim);
  const keys = Object.keys(check.fields!).map((key) => `${key}: ${key in standards ? literal(standards[key]) : '…'}`);
  return `{ ${keys.join(', ')} }`;
}

/** A value as TypeScript, with single quotes and spaces. */
function literal(value: unknown): string {
  if (value === Math.PI) return 'Math.PI';
  if (typeof value === 'string') return `'${value.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
  if (Array.isArray(value)) return `[${value.map(literal).join(', ')}]`;
  if (typeof value === 'object' && value !== null) {
    const entries = Object.entries(value).map(([key, entry]) => `${key}: ${literal(entry)}`);
    return `{ ${entries.join(', ')} }`;
  }
  return JSON.stringify(value);
}
