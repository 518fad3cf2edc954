// node --import tsx packages/onnx-export/test/write-model.ts KIND MODEL SCAN: a small untrained model whose classifier takes
// everything for the last class, and a scan of noise in which it therefore detects something.
import { writeFileSync } from 'node:fs';
import { type Dim, rng, volume } from '@mdt/core';
import { encodeNifti } from '@mdt/formats';
import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-cpu';
import { smallDetectors } from '../../detectors/test/small-detectors.js';
import { exportOnnx } from '../src/index.js';

const [kind, model, scan] = process.argv.slice(2) as [string, string, string];
tf.enableProdMode();
await tf.setBackend('cpu');
const detector = smallDetectors[kind]!();
const weights = await detector.weights();
for (const [name, { dtype, shape }] of weights) {
  if (!/^(classifier\.final|proposer\.class|boxHead\.class)\.bias$/.test(name)) continue;
  const data = new Float32Array(shape[0]!);
  data[data.length - 1] = 2; // a score of about e² / (e² + 2) = 0.79, where the file keeps those from 0.34
  weights.set(name, { dtype, shape, data });
}
detector.setWeights(weights);
await exportOnnx(detector, model);
const random = rng(0);
const size = Array.from(detector.patchSize as readonly number[], (n) => n + 8);
const data = Float32Array.from({ length: size.reduce((a, b) => a * b) }, () => 30 * random.normal());
writeFileSync(scan, encodeNifti(volume<Dim, Float32Array>({ dim: detector.dim, size, data }), { gzip: true }));
