import { spawn } from 'node:child_process';
import { mkdtemp, open, rename, rm, stat, writeFile } from 'node:fs/promises';
import { basename, delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Dim, InputError, product, refuseUnknownKeys } from '@mdt/core';
import { decodedDetector, type NetworkFunctions } from '@mdt/decode';
import { type LoadedDetector, loadDetector } from '@mdt/onnx';

export interface QuantiseOptions {
  /** Python with the packages of `python/requirements.txt`. Default 'python3'. */
  python?: string;
  /** A folder that `pip install --target` put them in; goes in front of Python's own. */
  packages?: string;
}

const pythonFolder = new URL('../python/', import.meta.url);

/** Regions of one patch that a head is calibrated with, at most. */
const mostRegions = 64;

/**
 * Writes the int8 version of a float32 model file: onnxruntime's static quantisation, in Python, with ranges that it sees on calibration
 * patches. Heads of a second stage are calibrated with what is pooled on the way.
 *
 * @param patches `[...patchSize, channels]` each, some dozens as the detector was trained on
 * @returns the files written, the model first
 * @throws InputError `missing-file` where Python lacks the packages; `invalid-data`, `shape-mismatch`, `empty-dataset`; as `loadDetector`
 */
export async function quantiseOnnx(
  file: string,
  out: string,
  patches: Iterable<Float32Array> | AsyncIterable<Float32Array>,
  options: QuantiseOptions = {},
): Promise<string[]> {
  refuseUnknownKeys('quantiseOnnx', options, ['python', 'packages']);
  const { python = 'python3', packages } = options;
  const path = [packages, process.env.PYTHONPATH].filter(Boolean).join(delimiter);
  const env = { ...process.env, PYTHONPATH: path, PYTHONDONTWRITEBYTECODE: '1' };
  const probe = await runPython(python, ['-c', 'import numpy, onnx, onnxruntime.quantization'], env);
  if (probe.code !== 0) {
    const last = probe.output.trim().split('\n').at(-1);
    const wanted = `${python} -m pip install --target .mdt/onnx-tools -r ${fileURLToPath(new URL('requirements.txt', pythonFolder))}`;
    throw new InputError(
      'missing-file',
      `int8 is made by onnxruntime's tools for Python, which are not there (${last}): ${wanted}`,
    );
  }
  const loaded = await loadDetector(file, { executionProviders: ['cpu'] });
  const folder = await mkdtemp(join(dirname(out), '.quantise-'));
  try {
    if (loaded.description.precision !== 'float32') {
      throw new InputError('invalid-data', `${file} is ${loaded.description.precision}, expected float32`);
    }
    await writeCalibration(loaded, patches, folder);
    const made = join(folder, basename(out));
    const script = fileURLToPath(new URL('quantise.py', pythonFolder));
    const { code, output } = await runPython(python, [script, file, made, join(folder, 'calibration.json')], env);
    if (code !== 0) {
      throw new InputError(
        'invalid-data',
        `${file}: onnxruntime's tools cannot quantise it: ${output.trim().split('\n').at(-1)}`,
      );
    }
    const written: string[] = [];
    for (const part of ['.data', '']) {
      if (!(await stat(made + part).catch(() => undefined))) continue;
      await rename(made + part, out + part);
      written.unshift(out + part);
    }
    return written;
  } finally {
    loaded.dispose();
    await rm(folder, { recursive: true, force: true });
  }
}

type Feed = Record<string, { shape: readonly number[]; offset: number }>;

/** Writes what the graph's inputs were on each patch: images, and what was pooled for the heads. */
async function writeCalibration(
  { description, network }: LoadedDetector,
  patches: Iterable<Float32Array> | AsyncIterable<Float32Array>,
  folder: string,
): Promise<void> {
  const { kind, dim, classes, channels, patchSize, decoding } = description;
  const seen = watched(network);
  const detector = decodedDetector<Dim>({ kind, dim, classes, patchSize, inChannels: channels, decoding }, seen.network);
  const heads: Record<string, readonly number[]> =
    decoding.method === 'proposals'
      ? { boxPooled: decoding.boxHead.poolSize, ...(decoding.maskHead && { maskPooled: decoding.maskHead.poolSize }) }
      : {};
  const values = join(folder, 'calibration.bin');
  const handle = await open(values, 'w');
  const feeds: Feed[] = [];
  let offset = 0;
  const add = async (data: Float32Array, shape: readonly number[]) => {
    await handle.writeFile(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
    const where = { shape, offset };
    offset += data.byteLength;
    return where;
  };
  try {
    for await (const patch of patches) {
      seen.pooled.clear();
      await detector.detectPatches(patch, 1, { masks: true, segmentation: true });
      const feed: Feed = { images: await add(patch, [1, ...patchSize, channels]) };
      for (const [name, poolSize] of Object.entries(heads)) {
        const length = product(poolSize) * seen.channels();
        const rows = seen.pooled.get(name)?.subarray(0, mostRegions * length) ?? new Float32Array(length); // the graph wants all its inputs
        feed[name] = await add(rows, [rows.length / length, ...poolSize, seen.channels()]);
      }
      feeds.push(feed);
    }
  } finally {
    await handle.close();
  }
  if (feeds.length === 0) throw new InputError('empty-dataset', 'quantiseOnnx: no patches were given');
  await writeFile(join(folder, 'calibration.json'), JSON.stringify({ values, feeds }));
}

/** A network that remembers what its heads were given, and how many channels its features have. */
function watched(network: NetworkFunctions) {
  const pooled = new Map<string, Float32Array>();
  let channels = 0;
  const { boxHead, maskHead } = network;
  const own: NetworkFunctions & { dispose(): void } = {
    async dense(patches, count, wanted) {
      const outputs = await network.dense(patches, count, wanted);
      channels = outputs.features?.[0]?.channels ?? 0;
      return outputs;
    },
    ...(boxHead && {
      boxHead(values: Float32Array, count: number) {
        pooled.set('boxPooled', values);
        return boxHead(values, count);
      },
    }),
    ...(maskHead && {
      maskHead(values: Float32Array, count: number) {
        pooled.set('maskPooled', values);
        return maskHead(values, count);
      },
    }),
    dispose() {},
  };
  return { network: own, pooled, channels: () => channels };
}

function runPython(
  python: string,
  args: readonly string[],
  env: NodeJS.ProcessEnv,
): Promise<{ code: number | null; output: string }> {
  return new Promise((resolve) => {
    const child = spawn(python, args, { env, stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    const take = (chunk: Buffer) => {
      output = (output + chunk.toString()).slice(-10_000);
    };
    child.stdout.on('data', take);
    child.stderr.on('data', take);
    child.on('error', (error) => resolve({ code: -1, output: error.message }));
    child.on('close', (code) => resolve({ code, output }));
  });
}
