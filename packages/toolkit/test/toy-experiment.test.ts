import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { selectEngine } from '../src/engine.js';
import { runToyExperiment } from '../src/toy-experiment.js';
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
  for (const { ap, minutes, steps } of rows) {
    for (const threshold of ['0.1', '0.5']) {
      const { value, low, high, deviation } = ap[threshold]!;
      expect(value).toBeGreaterThanOrEqual(0);
      expect(low! <= value! && value! <= high!).toBe(true);
      expect(deviation).toBeGreaterThanOrEqual(0);
    }
    expect(minutes).toBeGreaterThan(0);
    expect(steps).toBeGreaterThan(0);
  }
  const table = await readFile(join(out, 'table.md'), 'utf8');
  expect(table.split('\n').filter((line) => line.startsWith('| donuts_shape'))).toHaveLength(1);
  const { mtimeMs } = await stat(join(out, 'donuts_shape-RetinaNet2D-0', 'metrics.jsonl'));
  expect(await runToyExperiment(options)).toEqual(rows);
  expect((await stat(join(out, 'donuts_shape-RetinaNet2D-0', 'metrics.jsonl'))).mtimeMs).toBe(mtimeMs);
});

test('the command refuses what it does not know', async () => {
  const wrong = await mdt('toy-experiment', '--detectors', 'RetinaNet3D');
  expect(wrong).toMatchObject({ code: 2, err: expect.stringContaining('RetinaNet2D') });
});
