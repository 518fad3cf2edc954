import '@tensorflow/tfjs-backend-cpu';
import { rng } from '@mdt/core';
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, expect, test } from 'vitest';
import { type Block, type BlockStyle, chain, registerGradients, residualBlock } from '../src/index.js';
import { recomputed } from '../src/recomputed.js';

beforeAll(async () => {
  tf.enableProdMode();
  await tf.setBackend('cpu');
  registerGradients();
});

function stage(style: BlockStyle): Block[] {
  const common = { dim: 2, planes: 1, ...style } as const;
  const blocks = [residualBlock({ ...common, name: 'a', in: 2 }), residualBlock({ ...common, name: 'b', in: 4 })];
  for (const { variables } of blocks) for (const weight of variables) weight.build(rng('recomputed'));
  return blocks;
}

const weightsOf = (blocks: readonly Block[]) => blocks.flatMap(({ variables }) => variables);

/** The loss, the gradient of the input and those of all weights. */
function gradients(run: typeof chain, blocks: readonly Block[]): Float32Array[] {
  return tf.tidy(() => {
    const random = rng(5);
    const x = tf.variable(
      tf.tensor(
        Float32Array.from({ length: 2 * 4 * 5 * 2 }, () => random.normal()),
        [2, 4, 5, 2],
      ),
    );
    const trained = weightsOf(blocks).filter(({ trainable }) => trainable);
    const variables = [x, ...trained.map(({ variable }) => variable)];
    const { value, grads } = tf.variableGrads(() => tf.sum(tf.square(run(blocks, x, 'train'))) as tf.Scalar, variables);
    return [value, ...variables.map(({ name }) => grads[name]!)].map((one) => one.dataSync().slice() as Float32Array);
  });
}

test('gradients are those of blocks that keep everything', () => {
  const blocks = stage({ norm: 'instance-affine' });
  const expected = gradients(chain, blocks);
  const got = gradients(recomputed, blocks);
  expect(got).toEqual(expected);
  expect(expected.slice(1).some((values) => values.some((value) => value !== 0))).toBe(true);
});

test('running statistics are updated once a step', () => {
  const running = (run: typeof chain) => {
    const blocks = stage({ norm: 'batch' });
    gradients(run, blocks);
    return weightsOf(blocks)
      .filter(({ trainable }) => !trainable)
      .map(({ variable }) => Array.from(variable.dataSync()));
  };
  expect(running(recomputed)).toEqual(running(chain));
});

test('leaves no tensor behind', () => {
  const blocks = stage({});
  const before = tf.memory().numTensors;
  gradients(recomputed, blocks);
  expect(tf.memory().numTensors).toBe(before + 1); // the variable x, which no tidy frees
});
