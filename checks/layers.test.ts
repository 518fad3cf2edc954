import { describe, expect, test } from 'vitest';
import { cyclesOf, type Import, importsOf, moduleOf, type PackageSource, readPackages, targetOf } from './import-graph.js';

interface Layer {
  /** The packages of ours that it may import. */
  mayImport: readonly string[];
  /** Whether it may import TensorFlow.js. */
  tfjs: boolean;
  /** Whether it ships a bundle, into which its development dependencies go. */
  bundles?: boolean;
  /** Packages that it may ask for at run time or for their types, and does without where they are absent. */
  optional?: readonly string[];
}

/** The layers: a package may import what its row lists and nothing else. */
const layers: Readonly<Record<string, Layer>> = {
  core: { mayImport: [], tfjs: false },
  wbc: { mayImport: ['core', 'native-ops'], tfjs: false },
  'eval-coco': { mayImport: ['core'], tfjs: false },
  formats: { mayImport: ['core'], tfjs: false },
  augment: { mayImport: ['core', 'native-ops'], tfjs: false },
  'native-ops': { mayImport: ['core'], tfjs: false },
  decode: { mayImport: ['core', 'native-ops'], tfjs: false },
  predictor: { mayImport: ['core', 'wbc', 'eval-coco', 'augment', 'native-ops'], tfjs: false },
  'tfjs-torch': { mayImport: ['core', 'native-ops'], tfjs: true },
  backbone: { mayImport: ['core'], tfjs: true },
  detectors: { mayImport: ['core', 'native-ops', 'decode', 'backbone'], tfjs: true },
  onnx: { mayImport: ['core', 'formats', 'augment', 'decode', 'predictor'], tfjs: false },
  'onnx-export': { mayImport: ['core', 'decode', 'detectors', 'onnx'], tfjs: true },
  viewer: { mayImport: ['core', 'formats', 'predictor', 'onnx'], tfjs: false, bundles: true },
  toolkit: {
    mayImport: [
      'core',
      'wbc',
      'eval-coco',
      'formats',
      'augment',
      'native-ops',
      'predictor',
      'backbone',
      'detectors',
      'onnx',
      'onnx-export',
      'viewer',
    ],
    tfjs: true,
    optional: ['tfjs-torch'],
  },
};

/** What one package does that its layer does not allow, a sentence each. */
function violations({ name, files, manifest }: PackageSource): string[] {
  const layer = layers[name];
  if (!layer) return [`@mdt/${name} has no row in the table of layers`];
  const refusal = (module: string, kind: Import['kind']): string | undefined => {
    if (module.startsWith('@tensorflow/')) return layer.tfjs ? undefined : 'this package is free of TensorFlow.js';
    const ours = /^@mdt\/(.+)$/.exec(module)?.[1];
    if (ours === undefined || layer.mayImport.includes(ours)) return undefined;
    if (layer.optional?.includes(ours))
      return kind === 'static' ? 'it is optional here: import() it, or its types only' : undefined;
    return 'the layers do not allow it';
  };
  const declared = new Set(
    [
      manifest.dependencies,
      manifest.peerDependencies,
      manifest.optionalDependencies,
      layer.bundles ? manifest.devDependencies : {},
    ].flatMap((list) => Object.keys(list ?? {})),
  );
  const found: string[] = [];
  for (const { path, imports } of files) {
    for (const { specifier, kind } of imports) {
      const module = moduleOf(specifier);
      if (specifier.startsWith('.') && targetOf(path, specifier).startsWith('..')) {
        if (targetOf(path, specifier) !== '../package.json')
          found.push(`${name}/src/${path} reaches out of its sources: ${specifier}`);
      }
      if (module === undefined) continue;
      const why = refusal(module, kind);
      if (why) found.push(`${name}/src/${path} imports ${module}: ${why}`);
      else if (!declared.has(module) && kind !== 'type')
        found.push(`${name}/src/${path} imports ${module}: not in its package.json`);
    }
  }
  for (const module of declared) {
    const optional = manifest.peerDependenciesMeta?.[module]?.optional === true;
    const why = refusal(module, optional ? 'dynamic' : 'static');
    if (why) found.push(`${name}/package.json depends on ${module}: ${why}`);
  }
  const core = '@tensorflow/tfjs-core';
  if (manifest.dependencies?.[core])
    found.push(`${name}/package.json depends on ${core}: make it a peer, so that there is one engine`);
  return found;
}

/** A package of one file, for the checks of the check. */
const made = (name: string, source: string, manifest: PackageSource['manifest'] = {}): PackageSource => ({
  name,
  files: [{ path: 'index.ts', imports: importsOf(source) }],
  manifest,
});

describe('the packages as they are', () => {
  const packages = readPackages();

  test('every layer has its package and every package its layer', () => {
    expect(packages.map(({ name }) => name).sort()).toEqual(Object.keys(layers).sort());
  });

  test.each(packages)('@mdt/$name imports only what its layer allows', (one) => {
    expect(violations(one)).toEqual([]);
  });

  test.each(packages)('no files of @mdt/$name import each other in a circle', ({ files }) => {
    expect(cyclesOf(files).map((cycle) => cycle.join(' → '))).toEqual([]);
  });
});

describe('the check of the layers', () => {
  test.each([
    ["import { nms } from '@mdt/native-ops';", 'static'],
    ["import type { Nms } from '@mdt/native-ops';", 'type'],
    ["export * from '@mdt/native-ops/deep';", 'static'],
    ["export type T = import('@mdt/native-ops').Nms;", 'type'],
    ["const ops = await import('@mdt/native-ops');", 'dynamic'],
    ["const ops = require('@mdt/native-ops');", 'dynamic'],
    ["import ops = require('@mdt/native-ops');", 'static'],
  ])('sees %s and refuses it in core', (source, kind) => {
    expect(importsOf(source).map((found) => found.kind)).toEqual([kind]);
    expect(violations(made('core', source))).toEqual([
      expect.stringContaining('imports @mdt/native-ops: the layers do not allow it'),
    ]);
  });

  test('refuses TensorFlow.js in a package that is free of it, types included', () => {
    const source = "import type { Tensor } from '@tensorflow/tfjs-core';";
    expect(violations(made('wbc', source))).toHaveLength(1);
    expect(violations(made('backbone', source, { peerDependencies: { '@tensorflow/tfjs-core': '4.22.0' } }))).toEqual([]);
  });

  test('refuses a forbidden dependency in package.json even when nothing imports it', () => {
    expect(violations(made('backbone', '', { dependencies: { '@mdt/tfjs-torch': 'workspace:*' } }))).toHaveLength(1);
    expect(violations(made('backbone', '', { dependencies: { '@tensorflow/tfjs-core': '4.22.0' } }))).toHaveLength(1);
  });

  test('refuses an import that package.json does not declare', () => {
    expect(violations(made('wbc', "import { iou } from '@mdt/core';"))).toEqual([
      expect.stringContaining('not in its package.json'),
    ]);
  });

  test('lets the toolkit load the torch backend at run time only', () => {
    const manifest = {
      peerDependencies: { '@mdt/tfjs-torch': 'workspace:*' },
      peerDependenciesMeta: { '@mdt/tfjs-torch': { optional: true } },
    };
    expect(violations(made('toolkit', "await import('@mdt/tfjs-torch');", manifest))).toEqual([]);
    expect(violations(made('toolkit', "import { useTorch } from '@mdt/tfjs-torch';", manifest))).toHaveLength(1);
    expect(violations(made('toolkit', '', { dependencies: manifest.peerDependencies }))).toHaveLength(1);
  });

  test('refuses a relative path into another package', () => {
    expect(violations(made('core', "import { nms } from '../../native-ops/src/nms.js';"))).toHaveLength(1);
  });

  test('refuses a package without a row', () => {
    expect(violations(made('elsewhere', ''))).toHaveLength(1);
  });

  test('finds a circle of three files and leaves type imports alone', () => {
    const file = (path: string, source: string) => ({ path, imports: importsOf(source) });
    const files = [
      file('a.ts', "import { b } from './deep/b.js';"),
      file('deep/b.ts', "export * from '../c.js';"),
      file('c.ts', "import { a } from './a.js'; import type { B } from './deep/b.js';"),
    ];
    expect(cyclesOf(files)).toEqual([['a.ts', 'deep/b.ts', 'c.ts', 'a.ts']]);
    expect(cyclesOf([files[0]!, files[1]!, file('c.ts', "import type { A } from './a.js';")])).toEqual([]);
  });
});
