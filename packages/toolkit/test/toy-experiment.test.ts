import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { createDetector } from '../src/config/create-detector.js';
import { detectorKinds } from '../src/config/detector-schema.js';
import { selectEngine } from '../src/engine.js';
import { runToyExperiment, type ToyOutcome } from '../src/toy-experiment.js';
import { smallToyDetector } from '../src/toy-recipes.js';
import { mdt, temporaryFolder } from './support.js';

test('trainings with two seeds become a table with intervals and cost; done once, they are not done again', {
  timeout: 300_000,
}, async () => {
  const out = join(await temporaryFolder(), 'toy');
  const options = {
    engine: await selectEngine(),
    out,
    detectors: ['RetinaNet2D'] as const,
    tasks: ['donuts_shape'] as const,
    seeds: 2,
    minutes: 0.05,
    count: { train: 4, validation: 2, test: 2 },
  };
  const rows = await runToyExperiment(options);
  expect(rows.map(({ detector, seeds }) => [detector, seeds])).toEqual([['RetinaNet2D', 2]]);
  for (const { ap, minutes, cpuMinutes, steps } of rows) {
    for (const threshold of ['0.1', '0.5']) {
      const { value, low, high, deviation } = ap[threshold]!;
      expect(value).toBeGreaterThanOrEqual(0);
      expect(low! <= value! && value! <= high!).toBe(true);
      expect(deviation).toBeGreaterThanOrEqual(0);
    }
    expect(minutes).toBeGreaterThan(0);
    expect(cpuMinutes).toBeGreaterThan(0);
    expect(steps).toBeGreaterThan(0);
  }
  const table = await readFile(join(out, 'table.md'), 'utf8');
  expect(table.split('\n').filter((line) => line.startsWith('| donuts_shape'))).toHaveLength(1);
  const { mtimeMs } = await stat(join(out, 'donuts_shape-RetinaNet2D-0', 'metrics.jsonl'));
  expect(await runToyExperiment(options)).toEqual(rows);
  expect((await stat(join(out, 'donuts_shape-RetinaNet2D-0', 'metrics.jsonl'))).mtimeMs).toBe(mtimeMs);
});

test('the command refuses what it does not know', async () => {
  const wrong = await mdt('toy-experiment', '--detectors', 'RetinaNet4D');
  expect(wrong).toMatchObject({ code: 2, err: expect.stringContaining('RetinaNet') });
  const seeds = runToyExperiment({ out: 'never-made', seeds: [0.5] });
  await expect(seeds).rejects.toThrow('seeds is 0.5, expected a whole number of at least 1, or a list of whole numbers');
  const volumes = runToyExperiment({ out: 'never-made', full: true, detectors: ['RetinaNet3D'] });
  await expect(volumes).rejects.toThrow('RetinaNet3D, expected some of RetinaNet2D');
});

test('volumes train as images do, with the seeds that are named, in bfloat16 beside float32', { timeout: 300_000 }, async () => {
  const out = join(await temporaryFolder(), 'toy');
  const common = { out, detectors: ['FasterRCNN3D'] as const, tasks: ['circles_scale'] as const, seeds: [3] };
  const small = { minutes: 0.02, count: { train: 2, validation: 1, test: 1 } };
  for (const precision of ['float32', 'bfloat16'] as const) {
    await runToyExperiment({ ...common, ...small, engine: await selectEngine({ precision }) });
    const outcomes = JSON.parse(await readFile(join(out, 'results.json'), 'utf8')) as ToyOutcome[];
    const run = `circles_scale-FasterRCNN3D-3${precision === 'float32' ? '' : '-bfloat16'}`;
    expect(outcomes).toMatchObject([{ run, precision, seed: 3 }]);
    const { curve, cpuMinutes, steps } = outcomes[0]!;
    expect(curve.at(-1)!.step).toBe(steps);
    expect(curve.at(-1)!.cpuSeconds / 60).toBeCloseTo(cpuMinutes, 4);
    expect(JSON.parse(await readFile(join(out, run, 'config.json'), 'utf8')).training.precision).toBe(precision);
  }
});

test('the small networks of the ten can be made', () => {
  for (const kind of detectorKinds) {
    const detector = createDetector(smallToyDetector(kind, ['disc', 'donut']));
    expect(detector.describe()).toContain(kind);
    detector.dispose();
  }
});
