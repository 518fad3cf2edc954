// RoIAlign of CUDA tensors through @mdt/tfjs-torch against the same op on arrays: node checks/gpu/engine.mjs [--rounds N]
// Exit code 2, and a line that says why, where the engine cannot use a GPU.
import { createRequire } from 'node:module';
import { parseArgs } from 'node:util';
import { rng } from '../../packages/core/dist/index.js';
import { roiAlign } from '../../packages/detectors/dist/index.js';
import { nativeOps, pyramidRoiAlign, pyramidRoiAlignGrad } from '../../packages/native-ops/dist/index.js';
import { profile, useTorch } from '../../packages/tfjs-torch/dist/index.js';

const tf = createRequire(new URL('../../packages/detectors/package.json', import.meta.url))('@tensorflow/tfjs-core');
const { values } = parseArgs({ options: { rounds: { type: 'string', default: '20' } } });

const start = (deterministic) => useTorch({ device: 'cuda:0', deterministic });
try {
  await start(false);
} catch (error) {
  console.log(error.message);
  process.exit(2);
}
const { binary, reason } = nativeOps.info().cuda;
if (!binary) throw new Error(`the CUDA ops are not there: ${reason}`);

const random = rng('gpu engine');
const product = (list) => list.reduce((a, b) => a * b, 1);

/** The furthest of two values; `got` is no number where lengths differ. */
function furthest(got, expected) {
  if (got.length !== expected.length) return Number.NaN;
  return got.reduce((most, value, i) => Math.max(most, Math.abs(value - expected[i])), 0);
}

let compared = 0;
function expectNear(what, got, expected, tolerance) {
  compared++;
  const apart = furthest(got, expected);
  if (!(apart <= tolerance)) throw new Error(`${what}: ${apart} apart, expected ${tolerance} at most`);
}

/** Values and gradients of a pyramid of two maps; a deterministic gradient has the same bits again. */
function check(dim, deterministic) {
  const [batch, channels, n] = [2, random.integer(1, 9), random.integer(1, 40)];
  const pool = Array.from({ length: dim }, () => random.integer(1, 6));
  const sampling = ['single', 'average'][random.integer(0, 2)];
  const sizes = [0, 1].map(() => Array.from({ length: dim }, () => random.integer(2, 16)));
  const scales = sizes.map(() => Array.from({ length: dim }, () => random.uniform(0.2, 1)));
  const noise = (length) => Float32Array.from({ length }, () => random.normal());
  const maps = sizes.map((size) => noise(batch * product(size) * channels));
  const boxes = Float32Array.from({ length: 2 * dim * n }, () => random.uniform(-4, 20));
  const images = Int32Array.from({ length: n }, () => random.integer(0, batch));
  const levels = Int32Array.from({ length: n }, () => random.integer(0, 2));
  const dy = noise(n * product(pool) * channels);

  const shape = [n, ...pool, channels];
  const tensors = maps.map((map, i) => tf.tensor(map, [batch, ...sizes[i], channels]));
  const op = (...inputs) => roiAlign(inputs, { dim, boxes, images, levels }, { scales, pool, sampling });
  const weights = tf.tensor(dy, shape);
  const pooled = op(...tensors);
  const [gradients, again] = [0, 1].map(() => tf.grads((...inputs) => op(...inputs))(tensors, weights));

  const options = { dim, batch, channels, images, levels, poolSize: pool, sampling };
  const grids = sizes.map((size, i) => ({ size, scale: scales[i] }));
  const expected = pyramidRoiAlign(
    grids.map((grid, i) => ({ ...grid, values: maps[i] })),
    boxes,
    options,
  );
  expectNear(`RoIAlign in ${dim}D`, pooled.dataSync(), expected, 1e-5);
  pyramidRoiAlignGrad(dy, grids, boxes, options).forEach((gradient, i) => {
    expectNear(`gradient of map ${i} in ${dim}D`, gradients[i].dataSync(), gradient, 1e-4);
    if (deterministic) expectNear(`gradient of map ${i} in ${dim}D, again`, again[i].dataSync(), gradients[i].dataSync(), 0);
  });
  tf.dispose([tensors, weights, pooled, gradients, again]);
}

for (const deterministic of [false, true]) {
  await start(deterministic);
  for (let round = 0; round < Number(values.rounds); round++) for (const dim of [2, 3]) check(dim, deterministic);
}
const kernels = profile().filter(({ kernel }) => kernel.startsWith('RoiAlign'));
if (kernels.length !== 2) throw new Error('RoIAlign was composed of other ops');
console.log(`${compared} comparisons of CUDA tensors with arrays agree`);
