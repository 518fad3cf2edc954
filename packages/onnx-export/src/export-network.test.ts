import { mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import '@tensorflow/tfjs-backend-cpu';
import { readModel } from '@mdt/onnx';
import * as tf from '@tensorflow/tfjs-core';
import * as ort from 'onnxruntime-node';
import { afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { exportNetwork, type Network } from './index.js';

let dir = '';
beforeAll(async () => {
  tf.enableProdMode();
  await tf.setBackend('cpu');
});
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'mdt-onnx-'));
});
afterEach(async () => {
  await rm(dir, { recursive: true });
});

const weights = tf.tensor2d(
  Array.from({ length: 600 }, (_, i) => i / 100),
  [2, 300],
);
const double: Network = ({ x }) => ({ y: tf.matMul(x as tf.Tensor2D, weights) });
const inputs = [{ name: 'x', shape: [{ name: 'rows', sizes: [1, 2] as const }, 2] }];

const firstOf = async (file: string): Promise<number> => {
  const session = await ort.InferenceSession.create(file);
  const { y } = await session.run({ x: new ort.Tensor('float32', Float32Array.of(1, 2, 3, 4, 5, 6), [3, 2]) });
  expect(y!.dims).toEqual([3, 300]);
  return (y!.data as Float32Array)[1]!;
};

test('the file opens, and says what was told', async () => {
  const file = join(dir, 'deep/er/model.onnx');
  const report = await exportNetwork(file, double, { inputs, metadata: { licence: 'Apache-2.0' }, doc: 'doubles' });
  expect(report).toEqual({ files: [file], nodes: 2, parameters: 600 });
  expect(await firstOf(file)).toBeCloseTo(0.01 + 2 * 3.01, 5);
  expect(await readdir(join(dir, 'deep/er'))).toEqual(['model.onnx']);
  const { metadata } = readModel(await readFile(file), file);
  expect([...metadata]).toEqual([['licence', 'Apache-2.0']]);
});

test('constants past the limit go to a file beside it', async () => {
  const file = join(dir, 'large.onnx');
  const { files } = await exportNetwork(file, double, { inputs, externalFromBytes: 2000 });
  expect(files).toEqual([file, `${file}.data`]);
  expect((await stat(`${file}.data`)).size).toBe(2400);
  expect((await stat(file)).size).toBeLessThan(1000);
  expect(await firstOf(file)).toBeCloseTo(0.01 + 2 * 3.01, 5);
});

test('what was there stays when the network cannot be exported', async () => {
  const file = join(dir, 'model.onnx');
  await exportNetwork(file, double, { inputs });
  const before = await readFile(file);
  const sorted: Network = ({ x }) => ({ y: tf.topk(x!, 1).values });
  await expect(exportNetwork(file, sorted, { inputs })).rejects.toThrow(/TopK cannot be exported/);
  expect(await readFile(file)).toEqual(before);
  expect(await readdir(dir)).toEqual(['model.onnx']);
});

test('refuses inputs that cannot be told apart, none, and unknown options', async () => {
  const file = join(dir, 'model.onnx');
  await expect(exportNetwork(file, double, { inputs: [...inputs, ...inputs] })).rejects.toThrow('same name');
  await expect(exportNetwork(file, double, { inputs: [] })).rejects.toThrow('inputs is empty');
  await expect(exportNetwork(file, double, { inputs, opset: 3 } as never)).rejects.toThrow("unknown option 'opset'");
  expect(await readdir(dir)).toEqual([]);
});
