import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { smallToy, temporaryFolder } from '../../../test/support.js';
import { createAugmentation } from '../../config/create-augmentation.js';
import { type Dataset, loadPatches, openDataset, patches } from '../index.js';

let folder = '';
let dataset: Dataset<2>;
beforeAll(async () => {
  folder = join(await temporaryFolder(), 'toy');
  await smallToy(folder);
  dataset = await openDataset(folder, { dim: 2 });
});

const options = { patchSize: [24, 24] as const, batchSize: 2, foreground: 0.5, seed: 3 };
const augment = { mirror: ['y' as const], rotate: 0.4, noise: [0, 0.1] as const };

test('batches of workers are those of one thread, whatever their number and order', { timeout: 60_000 }, async () => {
  const { augmentation, margin } = createAugmentation(2, augment, options.patchSize);
  const plain = patches<2>(dataset, { ...options, augment: augmentation!, margin });
  const expected = await Promise.all([0, 1, 2, 3, 4].map((index) => plain.batch(index)));
  for (const workers of [1, 3]) {
    const loader = loadPatches(dataset, { ...options, augment, workers });
    try {
      for (const index of [0, 1, 2, 4, 3]) {
        const { release, ...batch } = await loader.batch(index);
        expect(batch).toEqual(expected[index]);
        expect(batch.images.buffer).toBeInstanceOf(SharedArrayBuffer);
        if (index % 2 === 0) release!();
      }
    } finally {
      await loader.close();
    }
  }
});

test('an error in a worker arrives within a second, with the case and its stack', {
  timeout: 60_000,
}, async () => {
  const broken = join(await temporaryFolder(), 'broken');
  await smallToy(broken);
  const all = await openDataset(broken, { dim: 2 });
  const [bad, good] = all.ids;
  // No room in memory: every case is read when it is drawn, and both are in 16 draws.
  const loader = loadPatches(all.subset([bad!, good!]), { ...options, batchSize: 16, foreground: 0, ahead: 0, cacheBytes: 0 });
  try {
    await loader.batch(0);
    await writeFile(join(broken, `${bad}.npy`), 'no array');
    const started = performance.now();
    const error = await loader.batch(1).catch((reason: unknown) => reason);
    expect(performance.now() - started).toBeLessThan(1000);
    expect(error).toMatchObject({ name: 'InputError', caseId: bad });
    expect((error as Error).message).toContain(`case '${bad}'`);
    expect((error as Error).stack).toMatch(/volume-file\.[tj]s[\s\S]*in worker 1/);
  } finally {
    await loader.close();
  }
});

test('a worker that dies fails its batch and is replaced; one that takes long is reported', { timeout: 60_000 }, async () => {
  const module = join(await temporaryFolder(), 'odd.mjs');
  await writeFile(
    module,
    `let count = 0;
     export const deadly = Object.assign((sample) => { if (count++ === 0) process.exit(3); return { sample }; }, {});
     export const slow = Object.assign((sample) => { const end = Date.now() + 2500; while (Date.now() < end); return { sample }; }, {});`,
  );
  const one = dataset.subset(dataset.ids.slice(0, 1));
  const deadly = loadPatches(one, { ...options, batchSize: 1, ahead: 0, augment: { module, name: 'deadly' } });
  const error = await deadly.batch(0).catch((reason: Error) => reason);
  expect(error).toMatchObject({ message: `case '${one.ids[0]}': the thread ended with code 3`, caseId: one.ids[0] });
  await deadly.close();
  const sentences: string[] = [];
  const slow = loadPatches(one, {
    ...{ ...options, batchSize: 1, ahead: 0, augment: { module, name: 'slow' } },
    ...{ stallSeconds: 1, onStall: (sentence: string) => sentences.push(sentence) },
  });
  await slow.batch(0);
  expect(sentences[0]).toMatch(/^worker 1 has been at one job for \d+ s/);
  await slow.close();
  await expect(slow.batch(1)).rejects.toThrow('the workers were closed');
});

test('what cannot be sampled is refused before a thread starts', () => {
  expect(() => loadPatches(dataset, { ...options, workers: 0 })).toThrow('workers 0');
  expect(() => loadPatches(dataset, { ...options, patchSize: [0, 8] })).toThrow('patchSize is [0,8]');
  const { place: _, ...elsewhere } = dataset;
  expect(() =>
    loadPatches({ ...elsewhere, ids: dataset.ids, name: 'memory', dim: 2, patientOf: (id: string) => id } as never, options),
  ).toThrow('convert or prepare it first');
});
