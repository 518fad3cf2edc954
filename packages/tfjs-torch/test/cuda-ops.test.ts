import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { nativeOps } from '@mdt/native-ops';
import { expect, test } from 'vitest';
import { type Binding, loadBinding } from '../src/binding.js';
import { openCudaOps } from '../src/cuda-ops.js';

const { openCudaOps: open } = loadBinding() as unknown as Record<keyof Binding, (...args: unknown[]) => unknown>;
const { binary } = nativeOps.info().cuda;
const here = fileURLToPath(import.meta.url);

test('the binding opens the CUDA ops of @mdt/native-ops where they are built, device or not, and as often as asked', () => {
  if (binary === undefined) return expect(() => open('/nowhere/mdt_native_ops_cuda.node')).toThrow(/^openCudaOps: .*nowhere/);
  for (let i = 0; i < 3; i++) expect(open(binary)).toBeUndefined();
});

test.each([
  [[], TypeError, 'openCudaOps: expected a path'],
  [[3], TypeError, 'openCudaOps: expected a path'],
  [[null], TypeError, 'openCudaOps: expected a path'],
  [['/nowhere.node'], Error, /^openCudaOps: .*nowhere/],
  [[here], Error, /^openCudaOps: .*cuda-ops\.test/], // no library
  [[nativeOps.info().reason], Error, /^openCudaOps: .*mdt_cuda_ops/], // a library without the entry point
  [[''], Error, /^openCudaOps: /],
])('it refuses %o', (args, type, message) => {
  expect(() => open(...args)).toThrow(type);
  expect(() => open(...args)).toThrow(message);
});

test('without them, or with some of another release, it goes on without these kernels and says so', async () => {
  const refuse = {
    openCudaOps() {
      throw new Error('openCudaOps: x.node does not speak version 1');
    },
  };
  const cases = [
    [{ binary: undefined, reason: 'build/x.node does not exist' }, 'build/x.node does not exist'],
    [{ binary: 'x.node', reason: 'x.node' }, 'does not speak version 1'],
  ] as const;
  for (const [found, why] of cases) {
    const warned = once(process, 'warning');
    expect(openCudaOps(refuse, found)).toBe(false);
    const [warning] = (await warned) as [Error & { code: string }];
    expect(warning).toMatchObject({ code: 'MDT_TFJS_TORCH', name: 'TfjsTorchWarning' });
    expect(warning.message).toContain(why);
  }
});
