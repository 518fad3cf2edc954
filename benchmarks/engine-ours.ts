// Our side of benchmarks/engine.ts, and tfjs-node's: the same calls on backend 'torch', or, with a folder of packages as the only
// argument, on the backend of the @tensorflow/tfjs-node in it.
import { createRequire } from 'node:module';
import { resolve } from 'node:path';
import { add, conv, instanceNorm, maxPool, registerGradients, resize } from '@mdt/backbone';
import { product, rng } from '@mdt/core';
import { profile, useTorch } from '@mdt/tfjs-torch';
import { adam } from '@mdt/toolkit';
import * as tf from '@tensorflow/tfjs-core';
import type { EngineCase, EngineWork } from './engine-case.js';
import { serve, type Work } from './serve.js';

const packages = process.argv[2];

type Network = (...inputs: tf.Tensor[]) => tf.Tensor;

/** What is run, and the shapes of its inputs: the image first, then weights. */
function network(work: Exclude<EngineWork, { kind: 'tiny add' }>): { run: Network; shapes: number[][] } {
  const channels = work.x.at(-1)!;
  const ones = work.x.slice(1, -1).map(() => 1);
  if (work.kind === 'conv') {
    const { strides, pads, filter } = work;
    return { run: (x, w, b) => conv(x!, w!, b, { strides, pads }), shapes: [work.x, filter, [filter.at(-1)!]] };
  }
  if (work.kind === 'instance norm') return { run: (x) => instanceNorm(x!), shapes: [work.x] };
  if (work.kind === 'max pool') return { run: (x) => maxPool(x!, work), shapes: [work.x] };
  if (work.kind === 'resize') return { run: (x) => resize(x!, { factors: work.factors, mode: 'linear' }), shapes: [work.x] };
  if (work.kind === 'block') return { run: block, shapes: [work.x, ...blockShapes(ones.length, channels, work.planes)] };
  const wide = 4 * work.channels;
  const stem = [...ones.map(() => 3), channels, wide];
  const run: Network = (x, w, b, ...rest) => {
    let y = conv(x!, w!, b, { strides: ones, pads: ones, activation: 'relu' });
    for (let at = 0; at < rest.length; at += 6) y = block(y, ...rest.slice(at, at + 6));
    return y;
  };
  const blocks = Array.from({ length: work.blocks }, () => blockShapes(ones.length, wide, work.channels)).flat();
  return { run, shapes: [work.x, stem, [wide], ...blocks] };
}

function blockShapes(dim: number, channels: number, planes: number): number[][] {
  const window = (k: number) => Array.from({ length: dim }, () => k);
  const filters = [
    [...window(1), channels, planes],
    [...window(3), planes, planes],
    [...window(1), planes, channels],
  ];
  return filters.flatMap((filter) => [filter, [filter.at(-1)!]]);
}

const block: Network = (x, w1, b1, w2, b2, w3, b3) => {
  const strides = x!.shape.slice(1, -1).map(() => 1);
  const none = strides.map(() => 0);
  const narrow = conv(x!, w1!, b1, { strides, pads: none, activation: 'relu' });
  const spatial = conv(narrow, w2!, b2, { strides, pads: strides, activation: 'relu' });
  return add(conv(spatial, w3!, b3, { strides, pads: none }), x!, 'relu');
};

function noise(shape: readonly number[], seed: number): tf.Tensor {
  const random = rng(seed);
  const scale = shape.length > 1 && seed > 0 ? 1 / Math.sqrt(product(shape.slice(0, -1))) : 1;
  const values = Float32Array.from({ length: Math.min(product(shape), 65_536) }, () => scale * random.normal());
  return tf.tensor(
    Float32Array.from({ length: product(shape) }, (_, i) => values[i % values.length]!),
    [...shape],
  );
}

function tinyAdd(): Work {
  const [a, b] = [tf.tensor1d([1, 2, 3, 4]), tf.tensor1d([5, 6, 7, 8])];
  return {
    run: async () => {
      for (let i = 0; i < 1000; i++) tf.add(a, b).dispose();
      await tf.add(a, b).data();
      return undefined;
    },
  };
}

async function workOn({ work, direction, precision, threads, calls }: EngineCase): Promise<Work> {
  tf.disposeVariables();
  if (!packages) await useTorch({ threads, precision });
  registerGradients();
  if (work.kind === 'tiny add') return tinyAdd();
  const { run, shapes } = network(work);
  let runs = 0;
  // Of the results of each call, the last is read in the end: it waits for what was queued before it.
  const counted = (f: () => tf.Tensor[]): Work => ({
    calls,
    run: async () => {
      if (runs === 0) profile(); // forgets what building took
      runs += calls;
      for (let i = 1; i < calls; i++) tf.dispose(f());
      const results = f();
      await results.at(-1)!.data();
      tf.dispose(results);
      return undefined;
    },
    notes: () => (packages ? [] : copyLines(work, direction, precision, runs)),
  });
  if (direction === 'step') {
    const image = noise(shapes[0]!, 0);
    const variables = shapes.slice(1).map((shape, i) => tf.variable(noise(shape, i + 1)));
    const optimizer = packages ? tf.train.adam(1e-4) : adam({ learningRate: 1e-4 });
    return counted(() => {
      const { value, grads } = tf.variableGrads(() => tf.mean(run(image, ...variables)));
      optimizer.applyGradients(grads as never);
      return [...Object.values(grads), value];
    });
  }
  const inputs = shapes.map(noise);
  // Activations are held in the precision that a network would hand them over in.
  const handedOver = (x: tf.Tensor) => (packages ? x : tf.tidy(() => asActivation(x)));
  inputs[0] = handedOver(inputs[0]!);
  // A single number is read: it waits for what was queued before it.
  const last = (tensor: tf.Tensor) => tf.tidy(() => tf.slice(tf.reshape(tensor, [-1]), [tensor.size - 1], [1]));
  if (direction === 'forward') {
    return counted(() => {
      const y = tf.tidy(() => run(...inputs));
      return [y, last(y)];
    });
  }
  const shape = tf.tidy(() => run(...inputs).shape);
  const dy = handedOver(noise(shape, 0));
  const gradients = tf.grads((...xs) => run(...xs));
  return counted(() => {
    const grads = gradients(inputs, dy);
    return [...grads, last(grads[0]!)];
  });
}

/** The same values as a convolution would hold them. */
function asActivation(x: tf.Tensor): tf.Tensor {
  const rows = tf.reshape(x, [-1, x.shape.at(-1)!]);
  return tf.reshape(tf.matMul(rows, tf.eye(x.shape.at(-1)!)), x.shape);
}

/** The copies that kernels made because a layout or a type did not suit them, a call; warm-up counts too. */
function copyLines(work: EngineWork, direction: string, precision: string, runs: number): string[] {
  const shape = 'x' in work ? ` ${work.x.join('x')}` : '';
  const copied = profile().filter(({ copies }) => copies > 0);
  const parts = copied.map(
    ({ kernel, copies, copiedBytes }) => `${kernel} ${(copies / runs).toFixed(1)} (${(copiedBytes / runs / 1e6).toFixed(2)} MB)`,
  );
  return [`copies a call, ${work.kind}${shape} ${direction} ${precision}: ${parts.join(', ') || 'none'}`];
}

if (packages) createRequire(resolve(packages, 'package.json'))('@tensorflow/tfjs-node');
await serve((aCase: EngineCase) => workOn(aCase));
