// The spatial transform (rotation, scale, elastic deformation in one resampling) beside batchgenerators', which the original
// toolkit trains with: npm run bench -- augment. Ours runs on the threads of @mdt/native-ops, theirs on scipy's one.
import { createSample, spatial } from '@mdt/augment';
import { type PerAxis, rng } from '@mdt/core';
import { benchmark, type Case, type Contestant } from './harness.js';
import { startProcess } from './process-contestant.js';

interface Question {
  size: number[];
  images: number;
  order: 1 | 3;
  alpha: [number, number];
  sigma: [number, number];
}

function ours({ size, images, order, alpha, sigma }: Question): Contestant {
  const dim = size.length as 2 | 3;
  const random = rng(0);
  const length = size.reduce((product, n) => product * n, 1);
  const samples = Array.from({ length: images }, () =>
    createSample({ dim, size, image: Float32Array.from({ length }, () => random.next()) }),
  );
  const move = spatial({
    outputSize: size as unknown as PerAxis,
    rotate: { z: [0, 2 * Math.PI] },
    scale: [0.8, 1.1],
    elastic: { alpha, sigma },
    order,
  });
  return {
    name: '@mdt/augment',
    async run() {
      const started = performance.now();
      const moved = samples.map((sample, i) => move(sample, rng(i)).sample.image);
      const seconds = (performance.now() - started) / 1000;
      const mean = moved.reduce((sum, image) => sum + image.reduce((a, b) => a + b, 0) / length, 0) / images;
      return { seconds, outcome: `mean ${mean.toFixed(3)}` };
    },
    close: async () => {},
  };
}

const peer = (question: Question) => () =>
  startProcess('batchgenerators', ['python3', 'benchmarks/peers/batch_spatial.py'], question);

const cases: Case[] = [1, 3].flatMap((order) => {
  const name = order === 1 ? 'linear' : 'cubic';
  const flat: Question = { size: [320, 320], images: 20, order: order as 1 | 3, alpha: [0, 1500], sigma: [30, 50] };
  const deep: Question = { size: [128, 128, 64], images: 2, order: order as 1 | 3, alpha: [0, 1000], sigma: [10, 13] };
  return [
    { name: `spatial 20 x 320x320 ${name} float32`, ours: async () => ours(flat), peers: [peer(flat)] },
    { name: `spatial 2 x 128x128x64 ${name} float32`, ours: async () => ours(deep), peers: [peer(deep)] },
  ];
});

await benchmark('augment', cases);
