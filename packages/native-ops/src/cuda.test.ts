import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import type { CudaBinding } from './binding.js';
import { boxGiou, boxIou, cudaPointers, nativeOps, nonMaximumSuppression, roiAlign } from './index.js';
import { cudaBinding } from './load.js';

// No GPU is needed here: the kernels' work is written over a team of threads, and this team is one thread of the host.
test('the work of the CUDA kernels, done on the host in any order, gives what the CPU ops give', () => {
  const folder = mkdtempSync(join(tmpdir(), 'mdt-cuda-steps-'));
  try {
    const program = join(folder, 'steps');
    const source = fileURLToPath(new URL('../test/cuda-steps.cc', import.meta.url));
    const flags = ['-std=c++17', '-O0', '-ffp-contract=off', '-fsanitize=address,undefined', '-fno-sanitize-recover=all'];
    execFileSync(process.env.CXX ?? 'g++', [...flags, source, '-pthread', '-o', program]);
    const answer = execFileSync(program, ['1', '20'], {
      encoding: 'utf8',
      env: { ...process.env, ASAN_OPTIONS: 'detect_leaks=0' },
    });
    expect(answer).toBe('20 rounds agree\n');
  } finally {
    rmSync(folder, { recursive: true });
  }
});

const boxes = Float32Array.of(0, 0, 2, 2, 0, 1, 2, 3);
const scores = Float32Array.of(0.5, 0.9);
const map = { values: Float32Array.from({ length: 16 }, (_, i) => i), size: [4, 4] };

test('device cuda gives the results of the CPU where there is a GPU, and says why not where there is none', () => {
  const ops = [
    (device: 'cpu' | 'cuda') => nonMaximumSuppression(boxes, scores, { dim: 2, iouThreshold: 0.3, device }),
    (device: 'cpu' | 'cuda') => boxIou(boxes, boxes, { dim: 2, device }),
    (device: 'cpu' | 'cuda') => boxGiou(boxes, boxes, { dim: 2, device }),
    (device: 'cpu' | 'cuda') => roiAlign(map, boxes, { dim: 2, channels: 1, poolSize: [2, 2], device }),
  ];
  const { cuda } = nativeOps.info();
  for (const op of ops) {
    if (cuda.available) expect(op('cuda')).toEqual(op('cpu'));
    else expect(() => op('cuda')).toThrow(/device is 'cuda', but there are 0 CUDA devices; .*mdt_native_ops_cuda/);
  }
});

test.each(['gpu', 'cuda:', 'cuda:-1', 'cuda:99999', 3, null])('refuses device %o', (device) => {
  expect(() => boxIou(boxes, boxes, { dim: 2, device: device as 'cuda' })).toThrow(/^boxIou: device is/);
});

test('the CUDA addon, where it is built, checks its arguments and ends no process', () => {
  const path = fileURLToPath(new URL('../build/Release/mdt_native_ops_cuda.node', import.meta.url));
  if (!existsSync(path)) {
    expect(cudaBinding().binding).toBeUndefined();
    return;
  }
  const binding = createRequire(import.meta.url)(path) as CudaBinding;
  const nms = binding.nms as (...args: unknown[]) => unknown;
  expect(() => nms(boxes, scores, null, 4)).toThrow('nms: dim is 4, expected 2 to 3');
  expect(() => nms(boxes, scores, null, 2, 0.3, false, 9, 1000, null)).toThrow(/^nms: (find|choose) the device: /);
  const pointers = binding.nmsPointers as (...args: unknown[]) => unknown;
  expect(() => pointers(2, 2, false, 0n)).toThrow('nmsPointers: boxes is 0n, expected an address');
  expect(() => pointers(2, 2, false, 6n)).toThrow('nmsPointers: boxes is 6, expected a multiple of 4');
  expect(() => pointers(2, 2, false, 256)).toThrow('nmsPointers: boxes must be an address as a BigInt, got a number');
  expect(() => pointers(2, 2, false, -4n)).toThrow('nmsPointers: boxes is too large');
  const maps = binding.roiAlignPointers as (...args: unknown[]) => unknown;
  expect(() => maps(2, false, BigUint64Array.of(16n), Int32Array.of(3), Float64Array.of(1, 1))).toThrow(
    'roiAlignPointers: sizes is 1 values, expected 2 for each of 1 maps',
  );
});

// What @mdt/tfjs-torch does to hand the memory of its tensors over.
test('another native library opens the CUDA addon, agrees on the version, and gets errors as text', () => {
  const { binary, available } = nativeOps.info().cuda;
  expect(binary === undefined).toBe(cudaBinding().binding === undefined);
  if (!binary) return;
  const folder = mkdtempSync(join(tmpdir(), 'mdt-cuda-c-api-'));
  try {
    const program = join(folder, 'c-api');
    const source = fileURLToPath(new URL('../test/cuda-c-api.cc', import.meta.url));
    execFileSync(process.env.CXX ?? 'g++', ['-std=c++17', source, '-ldl', '-o', program]);
    const lines = execFileSync(program, [binary], { encoding: 'utf8' }).split('\n');
    expect(lines.slice(0, 4)).toEqual([
      'version 1, later ones refused',
      'workspace 0 320 480', // 16 bytes for each RoI and axis
      '1 dim is 4, expected 2 or 3',
      '1 there are 0 maps, expected 1 or more',
    ]);
    const tried = available ? 'choo' : '(find|choo)';
    expect(lines[4]).toMatch(new RegExp(`^1 ${tried}.* the device: `));
    expect(lines[5]).toMatch(new RegExp(`^1 ${tried}$`));
    expect(lines[6]).toBe('1');
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('ops on device memory check what can be checked', () => {
  const call = { dim: 2, countA: 1, countB: 1, a: 16n, b: 16n, out: 16n } as const;
  expect(() => cudaPointers.boxIou({ ...call, dtype: 'int8' as 'float32' })).toThrow('cudaPointers.boxIou: dtype is int8');
  expect(() => cudaPointers.boxIou({ ...call, measure: 'ciou' as 'iou' })).toThrow('cudaPointers.boxIou: measure is ciou');
  expect(() => cudaPointers.boxIou({ ...call, outs: 1n } as never)).toThrow(/outs.*out/);
  const map = { values: 16n, size: [4], scale: [1, 1] };
  const rois = { dim: 2, maps: [map], batch: 1, channels: 1, count: 1, boxes: 16n, poolSize: [2, 2], out: 16n } as const;
  expect(() => cudaPointers.roiAlign(rois)).toThrow('cudaPointers.roiAlign: size is [4], expected 2 whole numbers');
  if (nativeOps.info().cuda.available)
    expect(() => cudaPointers.boxIou({ ...call, a: 3n })).toThrow('a is 3, expected a multiple of 4');
  else expect(() => cudaPointers.boxIou(call)).toThrow('cudaPointers.boxIou: there is no CUDA device');
});
