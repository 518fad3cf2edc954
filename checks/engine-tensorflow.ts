// Run by `npm run engine:tensorflow`: the detectors on tfjs-node's backend beside torch, forward and backward.
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { useTorch } from '@mdt/tfjs-torch';
import * as tf from '@tensorflow/tfjs-core';
import { forwardPass, largestDifference, smallDetectors, trainingStep } from './engine-forward.js';

const home = fileURLToPath(new URL('../.mdt/tensorflow/package.json', import.meta.url));
// One line makes the backend known: TensorFlow.js keeps one engine per process, whichever copy of it asks.
tf.enableProdMode(); // without a line per kernel that both copies register
createRequire(home)('@tensorflow/tfjs-node');

const relative = (a: number, b: number) => Math.abs(a - b) / Math.max(Math.abs(b), 1e-12);
let failed = 0;
for (const name of Object.keys(smallDetectors)) {
  await useTorch();
  const torch = await forwardPass(name);
  const step = await trainingStep(name, torch.weights);
  await tf.setBackend('tensorflow');
  const { values } = await forwardPass(name, torch.weights);
  const theirs = await trainingStep(name, torch.weights);
  const forward = largestDifference(values, torch.values);
  const loss = relative(theirs[0], step[0]);
  const gradients = relative(theirs[1], step[1]);
  const holds = forward < 1e-3 && loss < 1e-3 && gradients < 1e-2;
  if (!holds) failed += 1;
  const shown = [forward, loss, gradients].map((v) => v.toExponential(1));
  console.log(`${holds ? 'holds' : 'FAILS'}  ${name}: forward ${shown[0]}, loss ${shown[1]}, norm of the gradients ${shown[2]}`);
}
console.log(`${Object.keys(smallDetectors).length - failed} passed, ${failed} failed, 0 skipped`);
process.exitCode = failed === 0 ? 0 : 1;
