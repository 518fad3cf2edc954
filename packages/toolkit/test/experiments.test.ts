import { access, cp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { SliceCandidates } from '@mdt/predictor';
import { beforeAll, describe, expect, test } from 'vitest';
import { generateToy } from '../src/data/toy.js';
import { openRawPredictions } from '../src/run/raw-predictions.js';
import { mdt, smallConfig, smallToy, temporaryFolder } from './support.js';

let folder = '';
let data = '';
beforeAll(async () => {
  folder = await temporaryFolder();
  data = join(folder, 'toy');
  await smallToy(data);
});

const json = async (...path: string[]) => JSON.parse(await readFile(join(...path), 'utf8'));
const eventsOf = (out: string) =>
  out
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));

/** A TypeScript configuration of the small detector. */
async function typedConfig(name: string, change: (config: ReturnType<typeof smallConfig>) => unknown): Promise<string> {
  const path = join(folder, `${name}.config.ts`);
  const source = `import type { ExperimentConfig } from '@mdt/toolkit';\nexport default ${JSON.stringify(change(smallConfig(data)))} satisfies ExperimentConfig;\n`;
  await writeFile(path, source);
  return path;
}

test('a cross-validation is trained, tested, analysed, compared and asked for its state from end to end', async () => {
  const run = join(folder, 'cross');
  const config = await typedConfig('cross', (c) => ({ ...c, data: { dir: data, folds: { folds: 4 } } }));
  const set = ['--set', 'training.epochs=1', '--set', 'training.selectBy=["ap@0.1","ap:disc"]'];
  const trained = await mdt('train-test', config, '--out', run, '--folds', 'all', ...set, '--json');
  expect(trained).toMatchObject({ code: 0 });
  const events = eventsOf(trained.out);
  expect(events.filter(({ event }) => event === 'end')).toHaveLength(4);
  expect(events.at(-1)).toMatchObject({ event: 'test', ap: expect.anything() });

  // Every case is tested once, by the fold that did not learn from it.
  const raw = await openRawPredictions(join(run, 'test', 'raw'));
  const tested: [string, number | null][] = [];
  for await (const { id, fold } of raw.cases()) tested.push([id, fold]);
  expect(tested.map(([id]) => id).sort()).toEqual(
    (await json(data, 'dataset.json')).cases.map(({ id }: { id: string }) => id).sort(),
  );
  for (const [id, fold] of tested) expect((await json(run, `fold-${fold}`, 'split.json')).test).toContain(id);
  const folds = await json(run, 'test', 'folds.json');
  expect(folds.perFold.map(({ fold }: { fold: number }) => fold)).toEqual([0, 1, 2, 3]);
  const aps = folds.perFold.map(({ ap }: { ap: number }) => ap).filter((ap: number | null) => ap !== null);
  expect(folds.mean.ap).toBeCloseTo(aps.reduce((sum: number, ap: number) => sum + ap, 0) / aps.length, 12);
  expect(await json(run, 'test', 'metrics.json')).toMatchObject({ cases: 8 });

  const record = await json(run, 'fold-1', 'run.json');
  expect(record).toMatchObject({
    seeds: { training: 0, folds: 0 },
    data: { name: 'donuts_shape_noise', sha256: expect.stringMatching(/^[0-9a-f]{64}$/) },
    split: { train: 4, validation: 2, test: 2 },
    sessions: [{ step: 0, engine: { name: 'torch', threads: expect.any(Number) }, machine: { node: process.version } }],
  });
  expect((await readdir(join(run, 'fold-1'))).sort()).toEqual(
    expect.arrayContaining([
      'checkpoints',
      'config.json',
      'curves.png',
      'live.json',
      'log.txt',
      'metrics.jsonl',
      'plots',
      'tensorboard',
    ]),
  );

  // Moved, and without its data, it can still be analysed; what is configured gives what the test gave.
  const moved = join(folder, 'moved');
  await rename(run, moved);
  await rename(data, `${data}-away`);
  try {
    const before = await readFile(join(moved, 'test', 'predictions.json'), 'utf8');
    expect(await mdt('analyse', moved, '--iou', '0.1')).toMatchObject({ code: 0 });
    expect(await readFile(join(moved, 'test', 'predictions.json'), 'utf8')).toBe(before);
    const strict = join(folder, 'strict');
    expect(await mdt('analyse', moved, '--min-score', '1', '--out', strict)).toMatchObject({ code: 0 });
    expect((await json(strict, 'predictions.json')).cases.flatMap(({ detections }: { detections: [] }) => detections)).toEqual(
      [],
    );
  } finally {
    await rename(`${data}-away`, data);
  }

  const other = join(folder, 'other');
  await cp(moved, other, { recursive: true });
  const compared = await mdt('compare', moved, other, '--json');
  expect(eventsOf(compared.out)[0]).toMatchObject({ event: 'compare', config: [], differences: expect.any(Array) });
  for (const { value } of eventsOf(compared.out)[0].differences) expect([0, null]).toContain(value);
  const status = await mdt('status', moved);
  expect(status.out).toMatch(/fold-0: RetinaUNet2D, not running, 1 of 1 epochs[\s\S]*fold-3/);
});

test('folds of a hold-out data set predict together, and only what was never learnt from', async () => {
  const heldOut = join(folder, 'held-out');
  await cp(data, heldOut, { recursive: true });
  const run = join(folder, 'ensemble');
  const config = await typedConfig('ensemble', (c) => ({
    ...c,
    data: { dir: data, testDir: heldOut, folds: { folds: 4 } },
    training: { ...c.training, epochs: 1, validation: 'patches', validationPatches: 2, optimizer: 'sgd', accumulate: 2 },
  }));
  expect(await mdt('train', config, '--out', run, '--folds', '0,2')).toMatchObject({ code: 0 });
  const records = (await readFile(join(run, 'fold-2', 'metrics.jsonl'), 'utf8')).trim().split('\n');
  expect(JSON.parse(records[0]!).metrics).toMatchObject({ loss: expect.any(Number) });
  expect((await json(run, 'fold-0', 'split.json')).train).toHaveLength(6); // the test part is learnt from, too
  const tested = await mdt('test', run, '--best', '1', '--json');
  expect(tested).toMatchObject({ code: 0 });
  expect(eventsOf(tested.out).at(-1)).toMatchObject({ models: 2, metrics: { cases: 8 }, folds: null });
  expect(await mdt('test', run, '--folds', '1')).toMatchObject({ code: 3, err: expect.stringContaining('train fold 1 first') });

  const missing = await json(heldOut, 'dataset.json');
  await writeFile(join(heldOut, 'dataset.json'), JSON.stringify({ ...missing, cases: missing.cases.slice(1) }));
  expect(await mdt('test', run)).toMatchObject({ code: 3, err: expect.stringContaining('not those of the training') });
});

test('a 2D detector learns from slices of volumes, with their neighbours as channels, and is judged on 3D boxes', async () => {
  const volumes = join(folder, 'volumes');
  const count = { train: 3, validation: 1, test: 1 };
  await generateToy(volumes, { task: 'donuts_shape', dim: 3, size: [8, 32, 32], count, radius: 6, negatives: 0, seed: 1 });
  const flat = await typedConfig('flat', (c) => ({ ...c, data: { dir: volumes } }));
  const refused = await mdt('train', flat, '--out', join(folder, 'flat'));
  expect(refused).toMatchObject({ code: 3, err: expect.stringContaining('set data.slices to {}') });
  for (const [name, ...set] of [
    ['whole', '--set', 'data.slices={"context":1}'],
    [
      'patches',
      '--set',
      'data.slices={}',
      '--set',
      'prediction.mirror=[]',
      '--set',
      'training.validation=patches',
      '--set',
      'training.workers=1',
    ],
  ] as const) {
    const run = join(folder, `slices-${name}`);
    const rest = [
      '--set',
      'detector.nms={"minScore":0,"maxPerImage":2}',
      '--set',
      'training.validationPatches=2',
      '--epochs',
      '1',
      '--steps',
      '1',
    ];
    expect(await mdt('train-test', flat, '--out', run, ...set, ...rest)).toMatchObject({ code: 0 });
    const { detector, data: stored } = await json(run, 'config.json');
    expect([detector.inChannels, stored.slices]).toEqual([
      name === 'whole' ? 3 : 1,
      { context: name === 'whole' ? 1 : 0, mergeIouThreshold: 0.1 },
    ]);
    const raw = await openRawPredictions(join(run, 'test', 'raw'));
    for await (const { candidates, groundTruth } of raw.cases()) {
      expect([candidates.dim, groundTruth.dim, groundTruth.boxes.length]).toEqual([2, 3, 6]);
      expect(new Set((candidates as SliceCandidates).slices).size).toBe(8); // something in every slice
    }
    const predictions = await readFile(join(run, 'test', 'predictions.json'), 'utf8');
    for (const { box } of JSON.parse(predictions).cases[0].detections) expect(box).toHaveLength(6);
    expect(await mdt('analyse', run, '--iou', '0.1')).toMatchObject({ code: 0 });
    expect(await readFile(join(run, 'test', 'predictions.json'), 'utf8')).toBe(predictions);
    expect(await mdt('evaluate', '--run', run)).toMatchObject({ code: 0 });
    const evaluated = await json(run, 'predictions.json');
    expect(evaluated.cases[0].detections).toEqual(JSON.parse(predictions).cases[0].detections);
  }
  // One patient tested is too few for an interval, however often it is drawn.
  const compared = await mdt('compare', join(folder, 'slices-whole'), join(folder, 'slices-patches'));
  expect(compared).toMatchObject({ code: 0, out: expect.stringContaining('no interval: 1 patient, at least 6 are needed') });
  expect(await mdt('sweep', join(folder, 'slices-patches'))).toMatchObject({ code: 0 });
});

test('--dev goes the whole path on a sliver of the data', async () => {
  const run = join(folder, 'sliver');
  const config = await typedConfig('dev', (c) => ({ ...c, training: { ...c.training, epochs: 1000 } }));
  expect(await mdt('train-test', config, '--out', run, '--dev')).toMatchObject({ code: 0 });
  expect(await json(run, 'test', 'metrics.json')).toMatchObject({ cases: 2 });
});

describe('mdt create', () => {
  test.each([
    ['toy', '2'],
    ['nuclei', '3'],
    ['lidc', '2'],
    ['lidc', '3'],
    ['own', '2'],
  ])('writes %s in %sD as a typed file that is taken as it stands', async (template, dim) => {
    const out = join(folder, `${template}${dim}.config.ts`);
    const dir = template === 'toy' ? data : join(folder, 'nowhere');
    expect(await mdt('create', template, '--dim', dim, '--data', dir, '--out', out)).toMatchObject({ code: 0 });
    const text = await readFile(out, 'utf8');
    expect(text).toContain('satisfies ExperimentConfig');
    expect(text).toContain('// voxels per axis that go through the network');
    const checked = await mdt('train', out, '--set', 'detector.patchSize=[1]');
    expect(checked).toMatchObject({ code: 2, err: expect.stringContaining('patchSize: expected') });
    const next = await mdt('train', out, ...(template === 'toy' ? ['--set', `data.dir=${join(folder, 'nowhere')}`] : []));
    expect(next).toMatchObject({ code: 3, err: expect.stringContaining('nowhere') }); // all of it fits; only the data are not there
    expect(await mdt('create', template, '--data', dir, '--out', out)).toMatchObject({ code: 2 });
  });

  test('makes the toy data where they are not there, in the proportions of the original', async () => {
    const dir = join(folder, 'made');
    const out = join(folder, 'made.json');
    expect(await mdt('create', 'toy', '--data', dir, '--out', out, '--images', '10')).toMatchObject({ code: 0 });
    const { cases } = await json(dir, 'dataset.json');
    expect(
      ['train', 'validation', 'test'].map((split) => cases.filter((c: { split: string }) => c.split === split).length),
    ).toEqual([4, 2, 4]);
    expect((await json(out)).training).toMatchObject({ epochs: 24, stepsPerEpoch: 100, batchSize: 20 });
    await rm(dir, { recursive: true });
  });
});

test('wrong configurations are refused before any data is read', async () => {
  const nowhere = { data: { dir: join(folder, 'nowhere') } };
  const cases: [string[], string][] = [
    [['--set', 'training.epochz=3'], "did you mean 'epochs'"],
    [['--set', 'training.learningRate=[1,1,1]'], '3 rates for 2 epochs'],
    [['--set', 'training.selectBy=["ap@0.7"]'], 'iouThresholds are 0.1'],
    [['--set', 'training.selectBy=["auc"]'], 'config.ts.training.selectBy[0]'],
    [['--set', 'training.nesterov=true'], 'of no use to adam'],
    [['--set', 'detector.matcher.positive=0.1', '--set', 'detector.matcher.negative=0.2'], 'negative ≤ positive'],
    [['--set', 'detector.anchors.sizes.P9=[4,4]'], "no level 'P9'"],
    [['--set', '__proto__.x=1'], '__proto__'],
    [['--set', 'epochs'], 'expected key=value'],
    [['--folds', 'all'], 'data.folds'],
    [['--set', 'data.folds={"folds":5,"fold":5}'], 'fold 5 of 5'],
  ];
  const config = await typedConfig('refused', (c) => ({ ...c, ...nowhere }));
  for (const [args, message] of cases) {
    expect(await mdt('train', config, ...args)).toMatchObject({ code: 2, out: '', err: expect.stringContaining(message) });
  }
  await writeFile(join(folder, 'broken.config.ts'), 'export default {');
  expect(await mdt('train', join(folder, 'broken.config.ts'))).toMatchObject({ code: 3, err: expect.stringContaining('broken') });
  await expect(access(join(folder, 'runs'))).rejects.toThrow();
});

test('doctor says what there is, as text and as JSON', async () => {
  expect(await mdt('doctor')).toMatchObject({ code: 0, out: expect.stringMatching(/engine[\s\S]*native ops[\s\S]*disk/) });
  expect(eventsOf((await mdt('doctor', '--json')).out)[0].findings.length).toBeGreaterThan(5);
});
