import { execFile, spawn } from 'node:child_process';
import { cp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { encodeNpy } from '@mdt/formats';
import { beforeAll, describe, expect, test } from 'vitest';
import { listCheckpoints } from '../src/train/checkpoint.js';
import { loadDetectors } from '../src/train/load-detectors.js';
import { mdt, smallConfig, smallToy, temporaryFolder } from './support.js';

let folder = '';
let data = '';
beforeAll(async () => {
  folder = await temporaryFolder();
  data = join(folder, 'toy');
  await smallToy(data);
});

type Config = ReturnType<typeof smallConfig>;

async function configFile(name: string, change: (config: Config) => unknown = (config) => config, dir = data): Promise<string> {
  const path = join(folder, `${name}.json`);
  await writeFile(path, JSON.stringify(change(smallConfig(dir))));
  return path;
}

/** A copy of the data set with another dataset.json. */
async function changedData(name: string, change: (json: { cases: Record<string, unknown>[] }) => void): Promise<string> {
  const dir = join(folder, name);
  await cp(data, dir, { recursive: true });
  const json = JSON.parse(await readFile(join(dir, 'dataset.json'), 'utf8'));
  change(json);
  await writeFile(join(dir, 'dataset.json'), JSON.stringify(json));
  return dir;
}

test('trains, evaluates and predicts; every file is there and whole', async () => {
  const run = join(folder, 'run');
  const trained = await mdt('train', await configFile('small'), '--out', run, '--json');
  expect(trained.err).toContain("RetinaUNet2D on 'donuts_shape_noise'");
  expect(trained.code).toBe(0);
  const events = trained.out
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  const oneEpoch = ['step', 'step', 'epoch'];
  expect(events.map(({ event }) => event)).toEqual(['start', ...oneEpoch, ...oneEpoch, 'end']);
  expect(await readdir(run)).toEqual(
    expect.arrayContaining(['checkpoints', 'config.json', 'curves.png', 'curves.svg', 'metrics.jsonl']),
  );
  const stored = JSON.parse(await readFile(join(run, 'config.json'), 'utf8'));
  expect(stored.detector).toMatchObject({ classes: ['disc', 'donut'], inChannels: 1 });
  expect(stored.data.normalise).toBeDefined();

  const evaluated = await mdt('evaluate', '--run', run);
  expect(evaluated).toMatchObject({ code: 0, err: expect.any(String) });
  expect(evaluated.out).toMatch(/class +IoU/);
  const metrics = JSON.parse(await readFile(join(run, 'metrics.json'), 'utf8'));
  expect(metrics).toMatchObject({ cases: 2, iouThresholds: [0.1, 0.5], perClass: { disc: {}, donut: {} } });
  expect(JSON.parse(await readFile(join(run, 'predictions.json'), 'utf8')).cases).toHaveLength(2);
  expect((await readdir(run)).filter((name) => name.endsWith('.png')).sort()).toEqual([
    'curves.png',
    'picture-test-00000.png',
    'picture-test-00001.png',
    'precision-recall.png',
  ]);

  const predicted = await mdt('predict', join(data, 'test-00000.npy'), '--run', run, '--out', join(folder, 'out'), '--no-mirror');
  expect(predicted).toMatchObject({ code: 0 });
  expect((await readdir(join(folder, 'out'))).sort()).toEqual(['predictions.csv', 'predictions.json']);

  const again = await mdt('train', await configFile('small'), '--out', run);
  expect(again).toMatchObject({ code: 2, err: expect.stringContaining('already holds a run') });
  expect((await listCheckpoints(run)).length).toBeGreaterThan(0);

  const longer = await mdt('train', run, '--resume', '--epochs', '3', '--json');
  expect(longer).toMatchObject({ code: 0 });
  const resumed = longer.out
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  expect(resumed.filter(({ event }) => event === 'epoch').map(({ index }) => index)).toEqual([3]);
  const reseeded = await mdt('train', run, '--resume', '--seed', '7');
  expect(reseeded).toMatchObject({ code: 2, err: expect.stringContaining('training.seed was 0, is 7') });

  const [best] = await listCheckpoints(run);
  const file = join(best!.path, 'weights.safetensors');
  const bytes = await readFile(file);
  bytes[bytes.length - 1]! ^= 255;
  await writeFile(file, bytes);
  expect(await mdt('evaluate', '--run', run)).toMatchObject({ code: 4, err: expect.stringContaining('weights.safetensors') });
});

test('trains and predicts in the precision that the configuration or the flag names', async () => {
  const losses: number[] = [];
  const config = await configFile('precision', (c) => ({ ...c, training: { ...c.training, epochs: 1, precision: 'bfloat16' } }));
  for (const [name, ...flags] of [
    ['float32', '--precision', 'float32'],
    ['bfloat16', '--deterministic'],
  ] as const) {
    const run = join(folder, `run-${name}`);
    const trained = await mdt('train', config, '--out', run, '--json', ...flags);
    expect(trained).toMatchObject({ code: 0, err: expect.stringContaining(`engine torch (${name})`) });
    losses.push(JSON.parse(trained.out.split('\n')[1]!).losses.total);
    const { training } = JSON.parse(await readFile(join(run, 'config.json'), 'utf8'));
    expect(training).toMatchObject({ precision: name, deterministic: name === 'bfloat16' });
  }
  const [exact, low] = losses as [number, number];
  expect(low).not.toBe(exact);
  expect(Math.abs(low - exact)).toBeLessThan(0.05 * exact); // 8 bits of mantissa
  const scores = async (precision: string) => {
    const out = join(folder, `predicted-${precision}`);
    const image = join(data, 'test-00000.npy');
    const flags = ['--no-mirror', '--precision', precision];
    expect(await mdt('predict', image, '--run', join(folder, 'run-bfloat16'), '--out', out, ...flags)).toMatchObject({ code: 0 });
    return readFile(join(out, 'predictions.json'), 'utf8');
  };
  expect(await scores('float32')).not.toBe(await scores('bfloat16'));
  expect(await mdt('train', config, '--precision', 'float16')).toMatchObject({
    code: 2,
    err: expect.stringContaining('float16'),
  });
});

test('an image set without any object trains and evaluates', async () => {
  const dir = await changedData('empty-images', () => {});
  for (const name of await readdir(dir)) {
    if (name.endsWith('-labels.npy')) await writeFile(join(dir, name), encodeNpy(new Uint16Array(32 * 32), [32, 32]));
  }
  const run = join(folder, 'run-empty');
  const config = await configFile('no-objects', (c) => ({ ...c, training: { ...c.training, epochs: 1 } }), dir);
  expect(await mdt('train', config, '--out', run)).toMatchObject({ code: 0 });
  expect(await mdt('evaluate', '--run', run)).toMatchObject({ code: 0 });
  const metrics = JSON.parse(await readFile(join(run, 'metrics.json'), 'utf8'));
  expect(metrics).toMatchObject({ ap: null, perClass: { disc: { objects: 0, ap: null } } });
});

describe('bad input is one line with its own exit code, and nothing is written:', () => {
  const refused = async (args: string[], code: number, ...words: string[]) => {
    const out = join(folder, 'never');
    const result = await mdt(...args, '--out', out);
    expect(result.err.trim().split('\n').at(-1)).toMatch(/^(error: |\(Did you mean)/);
    for (const word of words) expect(result.err).toContain(word);
    expect(result).toMatchObject({ code, out: '' });
    await expect(readdir(out)).rejects.toThrow('ENOENT');
  };

  test('a missing file', async () => {
    await refused(['train', join(folder, 'nowhere.json')], 3, 'nowhere.json');
    const dir = await changedData('lost-image', ({ cases }) => void (cases[0]!.image = 'gone.npy'));
    await refused(['train', await configFile('lost', undefined, dir)], 3, 'gone.npy');
    await refused(['predict', 'x.npy', '--run', join(folder, 'no-run')], 3, 'no-run');
  });

  test('a mask of another shape than its image', async () => {
    const dir = await changedData('other-shape', () => {});
    await writeFile(join(dir, 'train-00001-labels.npy'), encodeNpy(new Uint16Array(32 * 30), [32, 30]));
    await refused(['train', await configFile('shape', undefined, dir)], 3, '32x30', '32x32', 'train-00001');
  });

  test('an unknown class', async () => {
    const dir = await changedData('other-class', ({ cases }) => void (cases[0]!.objectClasses = 'donnut'));
    await refused(['train', await configFile('class', undefined, dir)], 3, 'donnut', "did you mean 'donut'");
    const wrong = await configFile('classes', (c) => ({ ...c, detector: { ...c.detector, classes: ['disc', 'ring'] } }));
    await refused(['train', wrong], 3, "'ring'", 'disc, donut');
  });

  test('a patch size that the strides do not divide', async () => {
    const config = await configFile('patch', (c) => ({ ...c, detector: { ...c.detector, patchSize: [32, 40] } }));
    await refused(['train', config], 2, 'patchSize', '40');
  });

  test('an empty data set, and an empty part of one', async () => {
    const empty = await changedData('no-cases', (json) => void (json.cases = []));
    await refused(['train', await configFile('none', undefined, empty)], 3, 'cases is empty');
    const part = await changedData(
      'no-validation',
      (json) => void (json.cases = json.cases.filter((c) => c.split !== 'validation')),
    );
    await refused(['train', await configFile('part', undefined, part)], 3, "'validation'");
  });

  test('an unknown option, in the file and on the command line', async () => {
    const config = await configFile('unknown', (c) => ({ ...c, training: { ...c.training, learningrate: 1 } }));
    await refused(['train', config], 2, "'learningrate'", "did you mean 'learningRate'");
    await refused(['train', config, '--epoch', '3'], 2, '--epoch', 'Did you mean --epochs');
    await refused(['train', config, '--epochs', 'many'], 2, 'whole number');
  });

  test('a detector of another dimension than the data', async () => {
    const config = await configFile('dims', (c) => ({
      ...c,
      detector: { kind: 'RetinaNet3D', patchSize: [32, 32, 32], backbone: { startFilters: 2 } },
      prediction: {},
      training: {},
    }));
    await refused(['train', config], 3, 'RetinaNet3D', '2');
  });

  test('a command that does not exist', async () => {
    expect(await mdt('trian')).toMatchObject({ code: 2, err: expect.stringContaining('train') });
  });
});

test('help names every command, its options and examples', async () => {
  expect(await mdt('--help')).toMatchObject({
    code: 0,
    out: expect.stringMatching(/train[\s\S]*predict[\s\S]*evaluate[\s\S]*130/),
  });
  for (const command of [
    'create',
    'train',
    'test',
    'train-test',
    'analyse',
    'predict',
    'evaluate',
    'status',
    'compare',
    'doctor',
    'toy-experiment',
    'completion',
  ]) {
    expect(await mdt(command, '--help')).toMatchObject({ code: 0, out: expect.stringContaining(`$ mdt ${command}`) });
  }
});

test('completion comes from the table of commands, and bash takes it', async () => {
  const { code, out } = await mdt('completion', 'bash');
  expect(code).toBe(0);
  const complete = async (...words: string[]) => {
    const list = words.map((word) => `'${word}'`).join(' ');
    const script = `${out}\nCOMP_WORDS=(mdt ${list}); COMP_CWORD=${words.length}; _mdt; printf '%s\\n' "\${COMPREPLY[@]}"`;
    return (await promisify(execFile)('bash', ['-c', script], { cwd: folder })).stdout.trim().split('\n');
  };
  expect(await complete('tr')).toEqual(['train', 'train-test']);
  expect(await complete('dataset', 'ch')).toEqual(['check']);
  expect(await complete('train', '--res')).toEqual(['--resume']);
  expect(await complete('train', '--precision', 'b')).toEqual(['bfloat16']);
  expect(await complete('create', 'l')).toContain('lidc');
  expect(await mdt('completion', 'tcsh')).toMatchObject({ code: 2 });
});

/** Gives the completion script of a shell to a script that the shell runs, and what that prints, by lines. */
async function inShell(shell: string, args: (script: string) => string[]): Promise<string[]> {
  const script = join(folder, `completion.${shell}`);
  await writeFile(script, (await mdt('completion', shell)).out);
  const { stdout, stderr } = await promisify(execFile)(shell, args(script), { cwd: folder, timeout: 60_000 }).catch((error) => {
    if (error.code !== 'ENOENT') throw error;
    throw new Error(`This test asks ${shell} to complete: install it (Debian: apt-get install zsh fish).`);
  });
  expect(stderr).toBe('');
  return stdout.trim().split('\n');
}

test('fish completes commands, options and their values', async () => {
  const lines = ['mdt tr', 'mdt dataset ch', 'mdt train --res', 'mdt train --precision b', 'mdt create l'];
  const words = await inShell('fish', (script) => [
    '--no-config',
    '-c',
    `source ${script}; for line in ${lines.map((line) => `'${line}'`).join(' ')}; complete -C $line; end`,
  ]);
  const names = words.map((line) => line.split('\t')[0]);
  for (const name of ['train', 'train-test', 'check', '--resume', 'bfloat16', 'lidc']) expect(names).toContain(name);
  expect(names).not.toContain('predict');
});

test('zsh completes commands and options at the press of Tab', async () => {
  const typist = `
zmodload zsh/zpty
zpty shell zsh -f -i
zpty -w shell "PS1=; autoload -Uz compinit; compinit -u -D; source $1; mdt() { print -r -- RAN:\\$*: }; print REA''DY"
text=; until [[ $text == *READY* ]]; do zpty -r shell line || break; text+=$line; done
for words in "\${@:2}"; do
  zpty -w -n shell "$words"$'\t\n'
  text=; until [[ $text == *RAN:*:* ]]; do zpty -r shell line || break; text+=$line; done
  print -r -- "\${\${text##*RAN:}%%:*}"
done
zpty -d shell`;
  const file = join(folder, 'typist.zsh');
  await writeFile(file, typist);
  const typed = ['mdt doct', 'mdt train --resu', 'mdt dataset ch', 'mdt create lid'];
  expect(await inShell('zsh', (script) => ['-f', file, script, ...typed])).toEqual([
    'doctor',
    'train --resume',
    'dataset check',
    'create lidc',
  ]);
});

describe('Ctrl-C or SIGTERM', () => {
  /** Runs the command in a process of its own and interrupts it when `when` says so. */
  async function interrupted(
    run: string,
    config: string,
    when: (out: string) => Promise<boolean> | boolean,
    signal: 'SIGINT' | 'SIGTERM' = 'SIGINT',
  ) {
    const root = fileURLToPath(new URL('../../..', import.meta.url));
    const cli = fileURLToPath(new URL('../src/cli.ts', import.meta.url));
    const env = { ...process.env, TSX_TSCONFIG_PATH: join(root, 'tsconfig.json') };
    const child = spawn(process.execPath, ['--import', 'tsx', cli, 'train', config, '--out', run, '--json'], { cwd: root, env });
    let out = '';
    let err = '';
    child.stdout.on('data', (chunk) => (out += chunk));
    child.stderr.on('data', (chunk) => (err += chunk));
    const ended = new Promise<number | null>((resolve) => child.on('exit', resolve));
    while (child.exitCode === null && !(await when(out))) await new Promise((resolve) => setTimeout(resolve, 20));
    child.kill(signal);
    return { code: await ended, out, err };
  }

  test('leaves the best checkpoint so far, whole and loadable', async () => {
    const run = join(folder, 'run-interrupted');
    const config = await configFile('long', (c) => ({ ...c, training: { ...c.training, epochs: 100_000 } }));
    const { code, out, err } = await interrupted(run, config, (text) => text.includes('"index":2'));
    expect({ code, err }).toMatchObject({ code: 130 });
    const end = JSON.parse(out.trim().split('\n').at(-1)!);
    const [best] = await listCheckpoints(run);
    expect(end).toMatchObject({ event: 'end', reason: 'aborted', best: best!.path });
    expect(await loadDetectors(run)).toHaveLength(1);
    expect((await readdir(join(run, 'checkpoints'))).filter((name) => name.startsWith('.'))).toEqual([]);
  });

  test('before the first validation leaves what was reached', async () => {
    const run = join(folder, 'run-early');
    const config = await configFile('early', (c) => ({ ...c, training: { ...c.training, stepsPerEpoch: 1_000_000 } }));
    const isThere = () =>
      readFile(join(run, 'metrics.jsonl')).then(
        () => true,
        () => false,
      );
    const { code, err } = await interrupted(run, config, isThere, 'SIGTERM');
    expect({ code, err }).toMatchObject({ code: 130 });
    expect(await readdir(join(run, 'resume'))).toHaveLength(1); // to go on from
    const [last] = await listCheckpoints(run);
    expect(last!.state.score).toBeNull();
    expect(await loadDetectors(run)).toHaveLength(1);
    await rm(run, { recursive: true });
  });
});
