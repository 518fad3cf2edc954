import '@tensorflow/tfjs-backend-cpu';
import { kernels } from '@mdt/core';
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { useTorch } from '../src/index.js';

// TensorFlow.js's entry point for Node registers no gradients: ops with gradients of their own stand in. The gradients of
// its own ops, and gradients of gradients, are tested in checks/engine-gradients.test.ts.

type Grad = (dy: tf.Tensor, saved: tf.Tensor[]) => tf.Tensor | tf.Tensor[];

function op(forward: (...xs: tf.Tensor[]) => tf.Tensor, gradient: Grad): (...xs: tf.Tensor[]) => tf.Tensor {
  return tf.customGrad((...args) => {
    const save = args.pop() as unknown as tf.GradSaveFunc;
    const xs = args as tf.Tensor[];
    save(xs);
    return { value: forward(...xs), gradFunc: gradient as never };
  }) as never;
}

const square = op(tf.square, (dy, [x]) => tf.mul(dy, tf.mul(2, x!)));
const cube = op(
  (x) => tf.mul(x!, tf.square(x!)),
  (dy, [x]) => tf.mul(dy, tf.mul(3, square(x!))),
);
const multiply = op(tf.mul as never, (dy, [a, b]) => [tf.mul(dy, b!), tf.mul(dy, a!)]);
const sum = op(tf.add as never, (dy) => [dy, dy]); // gives dy itself, twice
const shared = op(tf.add as never, (dy) => {
  const both = tf.mul(dy, 1);
  return [both, both];
});
const total = op(
  (x) => tf.sum(x!),
  (dy, [x]) => tf.mul(dy, tf.onesLike(x!)),
);

type Loop = (f: () => tf.Tensor, xs: tf.Tensor[], dy?: tf.Tensor, allow?: boolean) => { value: tf.Tensor; grads: tf.Tensor[] };
let stock: Loop;
let ours: Loop;

beforeAll(async () => {
  const engine = tf.engine();
  stock = engine.gradients.bind(engine) as Loop;
  await useTorch({ threads: 2 });
  ours = engine.gradients.bind(engine) as Loop;
});
beforeEach(() => tf.disposeVariables());

const values = (tensor: tf.Tensor) => Array.from(tensor.dataSync());

/** Runs `f` under each loop and expects the same gradients, and nothing left over. */
function sameAsStock(name: string, f: (...xs: tf.Tensor[]) => tf.Tensor, xs: number[][], dy?: number[]): void {
  test(name, () => {
    const before = tf.memory();
    const under = (loop: Loop) =>
      tf.tidy(() => {
        const inputs = xs.map((x) => tf.tensor(x));
        const { value, grads } = loop(() => f(...inputs), inputs, dy && tf.tensor(dy));
        for (const x of inputs) expect(x.isDisposed).toBe(false);
        return [value, ...grads].map(values);
      });
    expect(under(ours)).toEqual(under(stock));
    expect(tf.memory()).toEqual(before);
  });
}

test('the loop is our own, and is put in once', async () => {
  expect(ours).not.toBe(stock);
  const { gradients } = tf.engine();
  await useTorch({ threads: 2 });
  expect(tf.engine().gradients).toBe(gradients);
});

describe('gradients are those of the stock loop', () => {
  sameAsStock('for a chain', (x) => total(square(cube(x!))), [[1, -2, 3]]);
  sameAsStock('for an input that is used twice by one op', (x) => multiply(x!, x!), [[1, -2, 3]]);
  sameAsStock('for an input that is used by several ops', (x) => sum(multiply(square(x!), x!), cube(x!)), [[1, -2, 3]]);
  sameAsStock('for several inputs', (a, b, c) => sum(multiply(a!, b!), multiply(square(b!), c!)), [
    [1, 2],
    [3, -4],
    [5, 6],
  ]);
  sameAsStock(
    'where results go unused',
    (x) => {
      cube(multiply(x!, x!));
      return square(x!);
    },
    [[1, -2, 3]],
  );
  sameAsStock('for a dy of the caller', (x) => square(cube(x!)), [[1, -2, 3]], [3, 2, 1]);
  sameAsStock('for a gradient that gives one tensor for two inputs', (a, b) => sum(shared(shared(a!, b!), a!), shared(b!, b!)), [
    [1, 2],
    [3, 4],
  ]);
  sameAsStock('for x between y and another x', (a, b) => multiply(square(a!), square(multiply(a!, b!))), [
    [1, 2],
    [3, 4],
  ]);

  // Here the stock loop fails: it gives back what a gradient shares with others.
  test('for a gradient that gives dy itself', () => {
    const before = tf.memory();
    const [a, b, dy] = [tf.tensor([1, 2]), tf.tensor([3, 4]), tf.tensor([5, 6])];
    for (const [own, expected] of [
      [undefined, [2, 2, 1, 1]],
      [dy, [10, 12, 5, 6]],
    ] as const) {
      const { value, grads } = ours(() => sum(sum(a, b), a), [a, b], own);
      expect(grads.flatMap(values)).toEqual(expected);
      tf.dispose([value, grads]);
    }
    expect(values(dy)).toEqual([5, 6]);
    tf.dispose([a, b, dy]);
    expect(tf.memory()).toEqual(before);
  });

  test('for a gradient that gives a saved tensor', () => {
    const x = tf.tensor([3, 4]);
    const { grads } = ours(() => op(square1, (_dy, [saved]) => saved!)(x), [x]);
    expect(values(grads[0]!)).toEqual([3, 4]);
    tf.dispose([x, grads]);
  });

  test('for a gradient that gives a tensor of the caller, which the caller keeps', () => {
    const constant = tf.tensor([7, 8]);
    const fixed = op(square1, () => constant);
    const x = tf.tensor([1, 2]);
    const { grads } = ours(() => sum(fixed(x), fixed(x)), [x]);
    expect(values(grads[0]!)).toEqual([14, 16]);
    expect(values(constant)).toEqual([7, 8]);
    tf.dispose([constant, x, grads[0]!]);
  });

  test('through tf.grad, tf.valueAndGrads and tf.variableGrads', () => {
    const before = tf.memory().numTensors;
    tf.tidy(() => {
      expect(values(tf.grad((x) => cube(x))(tf.tensor([2, 3])))).toEqual([12, 27]);
      const { value, grads } = tf.valueAndGrads((a: tf.Tensor, b: tf.Tensor) => total(multiply(a, b)))([
        tf.tensor([1, 2]),
        tf.tensor([3, 4]),
      ]);
      expect(values(value)).toEqual([11]);
      expect(grads.map(values)).toEqual([
        [3, 4],
        [1, 2],
      ]);
    });
    const v = tf.tidy(() => tf.variable(tf.tensor1d([1, 2]), true, 'v'));
    const { value, grads } = tf.variableGrads(() => total(square(v)) as tf.Scalar);
    expect(values(grads.v!)).toEqual([2, 4]);
    tf.dispose([value, grads, v]);
    expect(tf.memory().numTensors).toBe(before);
  });
});

function square1(x: tf.Tensor): tf.Tensor {
  return tf.square(x);
}

describe('what goes wrong leaves nothing behind', () => {
  const cases: [string, (x: tf.Tensor) => tf.Tensor, RegExp][] = [
    [
      'the function throws',
      (x) => {
        square(cube(x));
        throw new Error('on purpose');
      },
      /on purpose/,
    ],
    [
      'a gradient throws',
      (x) =>
        square(
          op(square1, () => {
            throw new Error('on purpose');
          })(cube(x)),
        ),
      /on purpose/,
    ],
    ['an op has no gradient', (x) => square(tf.neg(x)), /gradient/],
    ['the result does not depend on x', () => square(tf.ones([3])), /Cannot compute gradient of y=f\(x\)/],
    ['a gradient has another shape', (x) => square(op(square1, () => tf.ones([5]))(x)), /shape/],
    ['a gradient is of integers', (x) => square(op(square1, (dy) => tf.cast(dy, 'int32'))(x)), /float32/],
    ['the result is no tensor', () => 3 as never, /must be a tensor|result y/],
  ];
  for (const [name, f, message] of cases) {
    test(name, () => {
      const x = tf.tensor([1, 2, 3]);
      const before = tf.memory();
      expect(() => tf.tidy(() => ours(() => f(x), [x]))).toThrow(message);
      expect(tf.memory()).toEqual(before);
      const { value, grads } = ours(() => square(x), [x]);
      expect(values(grads[0]!)).toEqual([2, 4, 6]);
      tf.dispose([value, grads, x]);
    });
  }

  test('an error of a kernel is thrown where the gradient is read', () => {
    const before = tf.memory().numTensors;
    tf.tidy(() => {
      const x = tf.tensor([1, 2, 3]);
      const pick = op(
        (t) => tf.gather(t!, tf.neg(tf.tensor1d([-5], 'int32'))),
        (dy) => tf.tile(dy, [3]),
      );
      const { value } = ours(() => square(pick(x)), [x]);
      expect(() => value.dataSync()).toThrow('GatherV2(Float[3], Int[1]): index 5 is outside 0 to 2');
    });
    expect(tf.memory().numTensors).toBe(before);
  });
});

test('a deep chain needs less memory than with the stock loop', () => {
  const depth = 40;
  const bytes = 4 * 10_000;
  const native = () => (tf.memory() as tf.MemoryInfo & { numBytesNative: number }).numBytesNative;
  const most = (loop: Loop) => {
    const start = native();
    let peak = 0;
    const watched = op(
      (x) => tf.mul(x!, 1.01),
      (dy, [x]) => {
        peak = Math.max(peak, native() - start);
        return tf.add(tf.mul(dy, 1.01), tf.mul(x!, 0));
      },
    );
    tf.tidy(() => {
      const x = tf.ones([10_000]);
      loop(() => {
        let y: tf.Tensor = x;
        for (let i = 0; i < depth; i++) y = watched(y);
        return total(y);
      }, [x]);
    });
    expect(native()).toBe(start);
    return peak / bytes;
  };
  expect(most(stock)).toBeGreaterThan(1.8 * depth); // all saved tensors, all gradients
  expect(most(ours)).toBeLessThan(depth + 6); // as many saved tensors less as there are gradients more
});

test('what a loss reaches in name only gets zeros, as from the stock loop, and the rest its own gradient', () => {
  const [a, b] = [tf.variable(tf.scalar(3)), tf.variable(tf.tensor1d([1, 2]))];
  const loss = () => {
    const reach = tf.customGrad((x) => ({
      value: (x as tf.Tensor).clone(),
      gradFunc: (dy: tf.Tensor) => [dy.clone(), tf.zerosLike(a), tf.zerosLike(b)] as never,
    }));
    const squared = square(a);
    return tf.tidy(kernels.Reach, () => reach(squared, a, b));
  };
  for (const loop of [stock, ours]) {
    const { grads } = tf.tidy(() => loop(loss, [a, b]));
    expect(grads.map((gradient) => Array.from(gradient.dataSync()))).toEqual([[6], [0, 0]]);
  }
});
