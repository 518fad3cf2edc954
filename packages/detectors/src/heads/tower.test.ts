import '@tensorflow/tfjs-backend-cpu';
import { type Dim, product, rng } from '@mdt/core';
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, test } from 'vitest';
import { cellRows } from '../gather-rows.js';
import { neighbourhoods } from '../neighbourhoods.js';
import { tower, towerCost, towerReach } from './tower.js';

beforeAll(async () => {
  tf.enableProdMode();
  await tf.setBackend('cpu');
});

const sizes = { 2: [7, 4], 3: [3, 4, 6] } as const;

describe.each([2, 3] as const)('a tower at some cells, %iD', (dim) => {
  test('gives what it gives there on the whole map, with the same gradients', () => {
    const random = rng('tower');
    const head = tower<Dim>({ dim, name: 'tower', in: 2, filters: 3, out: 2 });
    for (const weight of head.variables) weight.build(random.fork(weight.name));
    // Biases other than zero: beyond the border a convolution of zeros would not give zeros.
    for (const { variable } of head.variables.filter(({ shape }) => shape.length === 1)) variable.assign(tf.ones(variable.shape));
    const voxels = product(sizes[dim]);
    const cells = Int32Array.of(0, 5, voxels - 1, voxels, 2 * voxels - 1);
    const map = tf.variable(
      tf.tensor(
        Float32Array.from({ length: 2 * voxels * 2 }, () => random.normal()),
        [2, ...sizes[dim], 2],
      ),
    );
    const variables = [map, ...head.variables.map(({ variable }) => variable)];
    const through = (rows: () => tf.Tensor2D) => {
      const { value, grads } = tf.variableGrads(() => tf.sum(tf.square(rows())) as tf.Scalar, variables);
      return [value, ...variables.map(({ name }) => grads[name]!)].map((one) => one.dataSync());
    };
    const expected = through(() => cellRows(tf.reshape(head.apply(map, 'train'), [-1, 2]) as tf.Tensor2D, cells, 1));
    const got = through(() => head.at(neighbourhoods(map, cells, towerReach)));
    got.forEach((values, i) => {
      const most = Math.max(...expected[i]!.map(Math.abs));
      for (const [k, value] of values.entries()) expect(Math.abs(value - expected[i]![k]!)).toBeLessThan(1e-4 * most + 1e-6);
    });
  });
});

test('costs as much as one layer’s mean window', () => {
  expect(towerCost(2)).toBeCloseTo((1 + 9 + 25 + 49 + 81) / 5);
});
