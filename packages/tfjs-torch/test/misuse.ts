// Calls every function that the addon exports, and every kernel behind `run`, with wrong arguments: `node --import tsx misuse.ts
// exports|kernels|table [SEED]`. `table` spoils the right calls of native-calls.ts in one place at a time, the others try wrong
// arguments by chance. Says on stdout what it is about to do, so that misuse.test.ts can name what ended the process.
import { writeSync } from 'node:fs';
import { rng } from '@mdt/core';
import { loadBinding } from '../src/binding.js';
import { type Attr, exportCalls, type Input, type KernelCall, kernelCalls } from './native-calls.js';

const [part, seed = '1'] = process.argv.slice(2);
const random = rng(Number(seed));
const pick = <T>(values: readonly T[]): T => values[random.integer(0, values.length)]!;
const say = (line: string) => writeSync(1, `${line}\n`);

const binding = loadBinding();
const block = new Float64Array(new SharedArrayBuffer(8 * 65_536));
const functions = Object.entries(binding).filter(([, value]) => typeof value === 'function') as [
  string,
  (...args: unknown[]) => unknown,
][];

/** Slots below hold tensors or nothing; kernels write to these. */
const firstOutput = 40;
let threw = 0;
let returned = 0;

/** Whether it threw; anything but an Error thrown is a mistake of the addon. */
function attempt(what: () => unknown): unknown {
  try {
    const result = what();
    returned++;
    if (result instanceof Promise) result.catch(() => {});
    return result;
  } catch (error) {
    if (!(error instanceof Error) || error.message === '') throw new Error(`thrown was ${String(error)}`);
    threw++;
    return undefined;
  }
}

function upload(slot: number, shape: number[], values: Float32Array | Int32Array | Uint8Array, dtype: number): void {
  block[0] = shape.length;
  block.set(shape, 1);
  binding.upload(slot, dtype, values);
}

function run(opcode: number, outputs: number[], inputs: number[], attrs: number[]): void {
  const places = outputs.flatMap((slot) => [slot, 1, 2]); // a shape is a hint: what the kernel makes counts
  block.set([outputs.length, ...places, inputs.length, ...inputs, attrs.length, ...attrs]);
  binding.run(opcode);
}

/** Starts the engine with two threads. */
const start = () => (binding.start as (...args: unknown[]) => void)(block, 2, 'cpu');

const add = binding.kernels.indexOf('Add');

/** The engine still computes. */
function expectAlive(after: string): void {
  upload(30, [2], Float32Array.of(1, 2), 0);
  upload(31, [2], Float32Array.of(3, 4), 0);
  run(add, [32], [30, 31], []);
  const sum = binding.readSync(32);
  if (sum[0] !== 4 || sum[1] !== 6) throw new Error(`after ${after} 1 + 3 is ${sum[0]}`);
}

const detached = new Float32Array(4);
structuredClone(detached.buffer, { transfer: [detached.buffer] });
const cyclic: unknown[] = [];
cyclic.push(cyclic);

const wrong: unknown[] = [
  undefined,
  null,
  true,
  '',
  'float32',
  Symbol('x'),
  {},
  [],
  cyclic,
  () => 0,
  10n,
  Number.NaN,
  Number.POSITIVE_INFINITY,
  -1,
  -0.5,
  0,
  0.5,
  1,
  3,
  39,
  2 ** 24,
  1e9,
  2 ** 31,
  2 ** 53,
  1e300,
  detached,
  new Float32Array(0),
  new Float32Array(3),
  new Float64Array(4),
  new Int32Array(4),
  new Uint8Array(4),
  new BigInt64Array(2),
  new DataView(new ArrayBuffer(8)),
  new ArrayBuffer(8),
  new SharedArrayBuffer(8),
  new Proxy({}, {}),
];

/** Every function with no, one, two, three and four wrong arguments: each value in each place, then random ones. */
function misuseExports(): void {
  const call = (f: (...args: unknown[]) => unknown, args: unknown[]) => attempt(() => f.apply(binding, args));
  for (const [name, f] of functions) {
    say(`${name}, before start`);
    call(f, []);
    for (const value of wrong) call(f, [value, value, value, value]);
  }
  start();
  fillSlots();
  for (const [name, f] of functions) {
    say(name);
    call(f, []);
    for (const value of wrong) {
      for (let place = 0; place < 4; place++) {
        const args: unknown[] = [1, 0, new Float32Array(3), 0];
        args[place] = value;
        call(f, args);
        call(f, args.slice(0, place + 1));
      }
    }
    for (let i = 0; i < 300; i++) {
      for (let j = 0; j < 12; j++) block[j] = pick(numbers);
      call(
        f,
        Array.from({ length: random.integer(0, 5) }, () => pick(wrong)),
      );
    }
    attempt(() => binding.setThreads(2));
    expectAlive(name);
  }
}

const numbers = [-1, 0, 1, 2, 3, 4, 5, 7, 0.5, -3, Number.NaN, Number.POSITIVE_INFINITY, 1e15, 2 ** 53, -1e15, 1e300];

/** Tensors of every type, of several ranks, some empty; what is left out is disposed. */
function fillSlots(): number[] {
  const shapes = [
    [],
    [0],
    [1],
    [2],
    [3],
    [2, 3],
    [3, 2],
    [0, 3],
    [2, 2, 2],
    [1, 4, 5, 2],
    [2, 1, 4, 3],
    [1, 3, 4, 5, 2],
    [1, 2, 1, 2, 1, 2],
  ];
  let slot = 0;
  for (const shape of shapes) {
    const size = shape.reduce((a, b) => a * b, 1);
    upload(
      slot++,
      shape,
      Float32Array.from({ length: size }, (_, i) => (i % 5 === 4 ? Number.NaN : i - 1)),
      0,
    );
    if (shape.length < 4)
      upload(
        slot++,
        shape,
        Int32Array.from({ length: size }, (_, i) => (i % 3 === 2 ? 2 ** 31 - 1 : i - 1)),
        1,
      );
  }
  upload(slot++, [2, 3], Uint8Array.of(0, 1, 1, 0, 0, 1), 2);
  upload(slot++, [2, 3], new Float32Array(12).fill(1), 3);
  for (let i = slot; i < 30; i++) binding.free(i);
  return Array.from({ length: 30 }, (_, i) => i);
}

/** A random list of attributes; half of it lists of plausible length, as kernels with windows and sizes have them. */
function randomAttrs(): number[] {
  const small = [0, 1, 1, 2, 2, 3];
  const attrs: number[] = [];
  for (let n = random.integer(0, 8); n > 0; n--) {
    const from = random.uniform(0, 1) < 0.7 ? small : numbers;
    if (random.uniform(0, 1) < 0.5) {
      attrs.push(pick(from));
    } else {
      const length = pick([0, 1, 2, 2, 3, 3, 4, 5]);
      attrs.push(random.uniform(0, 1) < 0.95 ? length : pick(numbers), ...Array.from({ length }, () => pick(from)));
    }
  }
  return attrs;
}

function misuseKernels(): void {
  start();
  const slots = [-1, -1, ...fillSlots()];
  for (const [opcode, kernel] of binding.kernels.entries()) {
    say(kernel);
    const outputs = [firstOutput, firstOutput + 1, firstOutput + 2];
    for (let i = 0; i < 150; i++) {
      const inputs = Array.from({ length: random.integer(0, 6) }, () => pick(slots));
      const attrs = randomAttrs();
      if (process.env.MISUSE_VERBOSE) say(`${kernel} inputs ${inputs} attributes ${attrs}`);
      const wanted = outputs.slice(0, pick([1, 1, 2, 3, 0]));
      attempt(() => run(opcode, wanted, inputs, attrs));
      for (const slot of wanted) attempt(() => binding.readSync(slot));
      for (const slot of wanted) binding.free(slot);
    }
    expectAlive(kernel);
  }
}

/** What may be wrong with a tensor, by name: its shape, its type, its values, or that it is there at all. */
const spoiltInputs: Record<string, (input: Tensor) => Tensor | 'disposed' | null> = {
  missing: () => null,
  disposed: () => 'disposed',
  'rank 0': (x) => ({ ...x, shape: [] }),
  'one axis less': (x) => ({ ...x, shape: x.shape.slice(1) }),
  'one axis more': (x) => ({ ...x, shape: [1, ...x.shape] }),
  'an axis longer': (x) => ({ ...x, shape: x.shape.map((n, d) => (d === 0 ? n + 1 : n)) }),
  'channels more': (x) => ({ ...x, shape: x.shape.map((n, d) => (d === x.shape.length - 1 ? n + 1 : n)) }),
  'zero-size': (x) => ({ ...x, shape: x.shape.map((n, d) => (d === 0 ? 0 : n)) }),
  'zero-size in the last axis': (x) => ({ ...x, shape: x.shape.map((n, d) => (d === x.shape.length - 1 ? 0 : n)) }),
  float32: (x) => ({ ...x, type: 'f' }),
  int32: (x) => ({ ...x, type: 'i' }),
  bool: (x) => ({ ...x, type: 'b' }),
  complex64: (x) => ({ ...x, type: 'c' }),
  NaN: (x) => ({ ...x, value: Number.NaN }),
  negative: (x) => ({ ...x, value: -3 }),
  huge: (x) => ({ ...x, value: x.type === 'i' ? 2 ** 31 - 1 : 1e38 }),
};

interface Tensor {
  type: string;
  shape: number[];
  value?: number;
}

const tensorOf = (input: Exclude<Input, null>): Tensor => ({
  type: input[0]!,
  shape: input.slice(1).split('x').map(Number),
});

/** Puts a tensor into a slot: small numbers that are indices, too, unless a value is given. */
function put(slot: number, { type, shape, value }: Tensor): void {
  const size = shape.reduce((a, b) => a * b, 1);
  const numbers = Array.from({ length: type === 'c' ? 2 * size : size }, (_, i) => value ?? i % 2);
  const arrays = { f: Float32Array, i: Int32Array, b: Uint8Array, c: Float32Array };
  upload(slot, shape, arrays[type as 'f'].from(numbers), 'fibc'.indexOf(type));
}

const wrongNumbers = [Number.NaN, Number.POSITIVE_INFINITY, -1, -(2 ** 31), 0, 0.5, 7, 2 ** 31, 2 ** 53, 1e300];

/** The attributes with each number spoilt in turn, each list cut, lengthened and with a false length, then too few and none. */
function* spoiltAttrs(attrs: readonly Attr[]): Generator<number[]> {
  const flat = (list: readonly Attr[]) => list.flatMap((attr) => (typeof attr === 'number' ? [attr] : [attr.length, ...attr]));
  const all = flat(attrs);
  for (const [i] of all.entries()) for (const wrong of wrongNumbers) yield all.with(i, wrong);
  for (const [i, attr] of attrs.entries()) {
    if (typeof attr === 'number') continue;
    for (const list of [[], attr.slice(1), [...attr, 1], [...attr, ...attr, ...attr]]) yield flat(attrs.with(i, list));
  }
  if (all.length > 0) for (const list of [[], all.slice(0, -1)]) yield list;
}

/** Every export and every kernel, each argument of its right call wrong in every way. */
function misuseTable(): void {
  for (const [name, args] of Object.entries(exportCalls)) {
    say(`${name}, before start`);
    if (name !== 'start') attempt(() => (binding[name as 'run'] as (...args: unknown[]) => unknown)(...args));
  }
  start();
  fillSlots();
  for (const [name, args] of Object.entries(exportCalls)) {
    say(name);
    const f = binding[name as 'run'] as (...args: unknown[]) => unknown;
    for (const [place] of args.entries()) {
      for (const value of wrong) {
        attempt(() => f.apply(binding, args.with(place, value)));
        attempt(() => binding.configure(false, false, 2 ** 30, 0)); // a limit of nothing would refuse all that follows
        upload(0, [3], Float32Array.of(1, 2, 3), 0);
      }
      attempt(() => f.apply(binding, args.slice(0, place)));
    }
    attempt(() => binding.setThreads(2));
    expectAlive(name);
  }
  binding.configure(false, false, 64 * 2 ** 20, 0); // what is huge is refused at once
  for (const [name, row] of Object.entries(kernelCalls)) {
    say(name);
    misuseKernel(name, row);
    expectAlive(name);
  }
}

function misuseKernel(name: string, { inputs, attrs, outputs = 1 }: KernelCall): void {
  const opcode = binding.kernels.indexOf(name);
  const right = inputs.map((input) => (input === null ? null : tensorOf(input)));
  const flat = attrs.flatMap((attr) => (typeof attr === 'number' ? [attr] : [attr.length, ...attr]));
  const results = (count: number) => Array.from({ length: count }, (_, i) => firstOutput + i);
  /** Runs with the tensors and reads what comes out. */
  const runOn = (tensors: readonly (Tensor | 'disposed' | null)[], attributes: readonly number[], count = outputs) => {
    const slots = tensors.map((tensor, i) => {
      if (tensor === null) return -1;
      if (tensor !== 'disposed') put(i, tensor);
      else binding.free(i);
      return i;
    });
    try {
      run(opcode, results(count), slots, [...attributes]);
      for (const slot of results(count)) binding.readSync(slot);
    } finally {
      for (const slot of results(count)) binding.free(slot);
    }
  };
  runOn(right, flat); // the row itself is right
  for (const [i, input] of right.entries()) {
    for (const [what, spoil] of Object.entries(spoiltInputs)) {
      const tensor = spoil(input ?? { type: 'f', shape: [2, 3] });
      if (process.env.MISUSE_VERBOSE) say(`${name} input ${i} ${what}`);
      attempt(() => runOn((right as Parameters<typeof runOn>[0]).with(i, tensor), flat));
    }
  }
  for (const attributes of spoiltAttrs(attrs)) {
    if (process.env.MISUSE_VERBOSE) say(`${name} attributes ${attributes}`);
    attempt(() => runOn(right, attributes));
  }
  for (const list of [[], right.slice(0, -1), [...right, ...right]]) attempt(() => runOn(list, flat));
  for (const count of [0, outputs + 1, 9]) attempt(() => runOn(right, flat, count));
}

if (part === 'exports') misuseExports();
else if (part === 'table') misuseTable();
else misuseKernels();
say(`survived: ${threw} errors, ${returned} results`);
