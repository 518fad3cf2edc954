import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { smallConfig, temporaryFolder } from '../../test/support.js';
import { planRuns } from './config-source.js';

test('--folds names the parts of a cross-validation, drawn from a seed or in a file of splits', async () => {
  const file = join(await temporaryFolder(), 'small.json');
  const plan = async (data: object, folds: 'all' | number[]) => {
    await writeFile(file, JSON.stringify({ ...smallConfig('toy'), data: { dir: 'toy', ...data } }));
    const { runs } = await planRuns(file, { folds, set: [], out: 'run' });
    return runs.map(({ config, out }) => [out, (config.data.folds ?? config.data.splits)!.fold]);
  };
  expect(await plan({ folds: { folds: 3 } }, 'all')).toEqual([0, 1, 2].map((fold) => [join('run', `fold-${fold}`), fold]));
  expect(await plan({ splits: { file: 'splits.json', folds: 4 } }, [1, 3])).toEqual(
    [1, 3].map((fold) => [join('run', `fold-${fold}`), fold]),
  );
  expect(await plan({ splits: { file: 'splits.json' } }, 'all')).toHaveLength(5);
  await expect(plan({}, 'all')).rejects.toThrow('--folds needs a cross-validation');
  await expect(plan({ folds: { folds: 3 } }, [3])).rejects.toThrow('fold 3 of 3');
});

test('a run is not taken for a data set: going on has to be asked for', async () => {
  const run = join(await temporaryFolder(), 'run');
  await mkdir(run);
  await writeFile(join(run, 'config.json'), JSON.stringify(smallConfig('toy')));
  await expect(planRuns(run, { set: [] })).rejects.toThrow('is a run: --resume goes on with it');
  expect((await planRuns(run, { set: [], resume: true })).out).toBe(run);
});
