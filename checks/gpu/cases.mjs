// CUDA against CPU, on the recordings of the original and on random input: node checks/gpu/cases.mjs [--rounds N]
// NMS and IoU have to agree to the last bit, RoIAlign's gradient too; RoIAlign to 1e-5.
import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { fromMdtBoxes, readSafetensors, rng } from '../../packages/core/dist/index.js';
import {
  batchedNms,
  boxDiou,
  boxGiou,
  boxIou,
  nativeOps,
  nonMaximumSuppression,
  roiAlign,
  roiAlignGrad,
} from '../../packages/native-ops/dist/index.js';

const { values } = parseArgs({ options: { rounds: { type: 'string', default: '200' } } });
const rounds = Number(values.rounds);
const { cuda } = nativeOps.info();
if (!cuda.available) {
  console.log(`no GPU found: ${cuda.reason}`);
  process.exit(2);
}
console.log(`on ${cuda.devices.map(({ name }) => name).join(', ')}`);

let compared = 0;
function expectEqual(what, got, expected, tolerance = 0) {
  compared += 1;
  if (got.length !== expected.length) throw new Error(`${what}: ${got.length} values, expected ${expected.length}`);
  for (let i = 0; i < got.length; i++) {
    if (Object.is(got[i], expected[i]) || Math.abs(got[i] - expected[i]) <= tolerance) continue;
    throw new Error(`${what}: value ${i} is ${got[i]}, expected ${expected[i]}`);
  }
}

/** An op with the same arguments on both. */
function compare(what, op, options, tolerance) {
  expectEqual(what, op({ ...options, device: 'cuda' }), op(options), tolerance);
}

function boxesOf(random, n, dim, spread) {
  const boxes = new Float64Array(2 * dim * n);
  for (let i = 0; i < n; i++) {
    for (let d = 0; d < dim; d++) {
      boxes[2 * dim * i + d] = Math.floor(random.uniform(0, spread));
      boxes[2 * dim * i + dim + d] = boxes[2 * dim * i + d] + random.integer(-1, 12);
    }
    if (random.integer(0, 50) === 0)
      boxes[2 * dim * i + random.integer(0, 2 * dim)] = [Number.NaN, Infinity, -1e300][random.integer(0, 3)];
  }
  return boxes;
}

function checkBoxes(random, dim, most) {
  const n = random.integer(0, most);
  const boxes = boxesOf(random, n, dim, random.integer(0, 2) ? 300 : 40);
  const scores = Float64Array.from({ length: n }, () =>
    random.integer(0, 60) === 0 ? Number.NaN : random.integer(-20, 20) / 20,
  );
  const groups = Int32Array.from({ length: n }, () => random.integer(-1, [0, 3, n][random.integer(0, 3)]));
  const extent = ['half-open', 'inclusive'][random.integer(0, 2)];
  const options = {
    dim,
    extent,
    iouThreshold: random.uniform(0, 0.9),
    ...(random.integer(0, 2) ? { maxBoxes: random.integer(0, 300) } : {}),
  };
  compare(`nms of ${n} in ${dim}D`, (o) => batchedNms(boxes, scores, groups, o), options);
  const few = boxes.subarray(0, 2 * dim * Math.min(n, 100));
  for (const op of [boxIou, boxGiou, boxDiou]) compare(`${op.name} in ${dim}D`, (o) => op(few, boxes, o), { dim, extent });
}

function checkRoiAlign(random, dim) {
  const whole = (most) => Array.from({ length: dim }, () => random.integer(1, most));
  const [size, poolSize, channels, batch, n] = [
    whole(14),
    whole(5),
    random.integer(1, 40),
    random.integer(1, 3),
    random.integer(0, 30),
  ];
  const noise = (length) => Float32Array.from({ length }, () => random.normal());
  const product = (list) => list.reduce((a, b) => a * b, 1);
  const grid = { size, scale: random.uniform(0.2, 1.2) };
  const boxes = boxesOf(random, n, dim, 14).map((v) => v + random.uniform(-0.5, 0.5));
  const images = Int32Array.from({ length: n }, () => random.integer(-1, batch + 1));
  const sampling = ['single', 'average'][random.integer(0, 2)];
  const options = {
    dim,
    channels,
    batch,
    images,
    poolSize,
    sampling,
    samplingRatio: random.integer(0, 4),
    aligned: random.integer(0, 2) === 1,
  };
  const map = { ...grid, values: noise(batch * product(size) * channels) };
  compare(`roiAlign in ${dim}D`, (o) => roiAlign(map, boxes, o), options, 1e-5);
  const dy = noise(n * product(poolSize) * channels);
  compare(`roiAlignGrad in ${dim}D`, (o) => roiAlignGrad(dy, grid, boxes, o), options);
}

const reference = (name) => readFileSync(new URL(`../../reference/${name}`, import.meta.url));

/** The original's arrays [n, channels, y, x(, z)] as [n, y, x(, z), channels]. */
function channelsLast({ shape: [, channels, ...size], data }) {
  const cells = size.reduce((a, b) => a * b, 1);
  return Float32Array.from(data, (_, i) => {
    const [row, channel] = [Math.floor(i / channels), i % channels];
    const image = Math.floor(row / cells);
    return data[(image * channels + channel) * cells + (row % cells)];
  });
}

/** The recordings' inputs; that the CPU ops give the recorded outputs, `npm run parity` says. */
function checkRecordings() {
  for (const dim of [2, 3]) {
    const { a, b, nms_in: rows, nms } = JSON.parse(reference(`boxes_${dim}d.json`));
    const boxes = (list) =>
      fromMdtBoxes(
        list.flatMap((row) => row.slice(0, 2 * dim)),
        dim,
      );
    for (const op of [boxIou, boxGiou, boxDiou])
      compare(`${op.name} of boxes_${dim}d`, (o) => op(boxes(a), boxes(b), o), { dim });
    const scores = Float64Array.from(rows, (row) => row[2 * dim]);
    for (const [threshold, kept] of Object.entries(nms)) {
      const options = { dim, iouThreshold: Number(threshold), extent: 'inclusive', device: 'cuda' };
      expectEqual(`nms ${threshold} of boxes_${dim}d`, nonMaximumSuppression(boxes(rows), scores, options), kept);
    }
  }
  for (const name of ['roialign_2d_7x5', 'roialign_3d_7x7x3', 'roialign_3d_3x2x1']) {
    const { tensors } = readSafetensors(reference(`${name}.safetensors`));
    const [image, output, gradient] = ['image', 'output', 'output_grad'].map((key) => tensors.get(key));
    const [batch, channels, ...size] = image.shape; // y x z: the axes keep the recording's order here
    const dim = size.length;
    const corners = dim === 2 ? [0, 1, 2, 3] : [0, 1, 4, 2, 3, 5]; // y1 x1 y2 x2 z1 z2 to minima, maxima
    const recorded = tensors.get('boxes').data;
    const boxes = Float32Array.from(recorded, (_, i) => recorded[i - (i % (2 * dim)) + corners[i % (2 * dim)]]);
    const images = Int32Array.from(tensors.get('batch_index').data);
    const options = { dim, batch, channels, images, poolSize: output.shape.slice(2), sampling: 'single' };
    const grid = { size, scale: size };
    compare(name, (o) => roiAlign({ ...grid, values: channelsLast(image) }, boxes, o), options, 1e-5);
    compare(`${name}, gradient`, (o) => roiAlignGrad(channelsLast(gradient), grid, boxes, o), options);
  }
}

const random = rng('gpu');
for (let round = 0; round < rounds; round++) {
  for (const dim of [2, 3]) {
    checkBoxes(random, dim, round % 20 === 0 ? 5000 : 900);
    checkRoiAlign(random, dim);
  }
}
checkRecordings();
console.log(`${compared} comparisons of CUDA with CPU agree`);
