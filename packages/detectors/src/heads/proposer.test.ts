import '@tensorflow/tfjs-backend-cpu';
import { type Dim, product, rng } from '@mdt/core';
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, test } from 'vitest';
import { proposer } from './proposer.js';

beforeAll(async () => {
  tf.enableProdMode();
  await tf.setBackend('cpu');
});

const sizes = { 2: [5, 4], 3: [3, 4, 5] } as const;
const [batch, channels, anchors, outputs] = [2, 3, 2, 2];

describe.each([2, 3] as const)('the rows of some cells, %iD', (dim) => {
  const random = rng('proposer');
  const head = proposer<Dim>({ dim, in: channels, filters: 4, anchors, outputs });
  const size = sizes[dim];
  const voxels = product(size);
  const pixels = Float32Array.from({ length: batch * voxels * channels }, () => random.normal());
  // The corners, where neighbours are missing, of both images, and cells in between.
  const cells = Int32Array.of(0, Math.floor(voxels / 2), voxels - 1, voxels, voxels + 7, 2 * voxels - 1);

  /** Sums of squares of these cells' rows, and all gradients. */
  function through(rowsOf: (map: tf.Tensor) => { logits: tf.Tensor2D; deltas: tf.Tensor2D }, places?: Int32Array) {
    for (const weight of head.variables) if (!weight.isBuilt) weight.build(random.fork(weight.name));
    const map = tf.variable(tf.tensor(pixels, [batch, ...size, channels]));
    const rows: Float32Array[] = [];
    const { grads } = tf.variableGrads(() => {
      const { logits, deltas } = rowsOf(map);
      const own = [logits, deltas].map((all) => (places ? tf.gather(all, tf.tensor1d(places, 'int32')) : all));
      rows.push(...own.map((one) => one.dataSync().slice() as Float32Array));
      return tf.addN(own.map((one) => tf.sum(tf.square(one)))) as tf.Scalar;
    }, [map, ...head.variables.map(({ variable }) => variable)]);
    const gradients = [map, ...head.variables.map(({ variable }) => variable)].map(
      ({ name }) => grads[name]!.dataSync() as Float32Array,
    );
    map.dispose();
    return [...rows, ...gradients];
  }

  test('are those of the whole map, with the same gradients', () => {
    const places = Int32Array.from(Array.from(cells, (cell) => [anchors * cell, anchors * cell + 1]).flat());
    const expected = through((map) => head.apply(map, 'train'), places);
    const got = through((map) => head.at(map, cells, 'train'));
    expect(got).toHaveLength(expected.length);
    got.forEach((values, i) => {
      expect(values).toHaveLength(expected[i]!.length);
      for (const [k, value] of values.entries()) expect(value).toBeCloseTo(expected[i]![k]!, 4);
    });
  });

  test('off the gradient tape they are the same, and nothing learns', () => {
    const [logits] = through((map) => head.apply(map, 'train'));
    tf.tidy(() => {
      const map = tf.tensor(pixels, [batch, ...size, channels]);
      expect(head.applyOnly(map, 'train').logits.dataSync()).toEqual(logits);
    });
    const gradient = tf.grad((map) => tf.sum(tf.add(tf.sum(head.applyOnly(map, 'train').logits), tf.mul(0, tf.sum(map)))));
    const slope = gradient(tf.tensor(pixels, [batch, ...size, channels])).dataSync();
    expect(slope.every((value) => value === 0)).toBe(true);
  });
});
