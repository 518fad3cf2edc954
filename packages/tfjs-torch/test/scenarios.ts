// Runs one scenario in a process of its own: `node --import tsx scenarios.ts NAME`; process.test.ts watches how it ends.
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import * as tf from '@tensorflow/tfjs-core';
import { engineMemory, idle, useTorch } from '../src/index.js';
import { smallTraining } from './training.js';

/** A result whose kernels take a second or more. */
function longOp(steps = 60): tf.Tensor {
  return tf.tidy(() => {
    let x = tf.randomUniform([1000, 1000], -0.001, 0.001);
    for (let i = 0; i < steps; i++) x = tf.matMul(x, x);
    return x;
  });
}

/** Σ of (seed · i)², through a matrix product, gathers and a convolution. */
function answer(seed: number): number {
  return tf.tidy(() => {
    const x = tf.mul(tf.range(0, 1000), seed / 1000);
    const row = tf.gather(tf.reshape(x, [1, 1000]), tf.tensor1d([0], 'int32'));
    const image = tf.reshape(x, [1, 10, 100, 1]) as tf.Tensor4D;
    const same = tf.conv2d(image, tf.ones<tf.Rank.R4>([1, 1, 1, 1]), 1, 'same');
    return tf.sum(tf.matMul(row, tf.reshape(same, [1000, 1]))).dataSync()[0]!;
  });
}

const expected = (seed: number) => (seed / 1000) ** 2 * ((999 * 1000 * 1999) / 6);

async function check(seed: number): Promise<void> {
  for (let i = 0; i < 50; i++) {
    const got = answer(seed);
    if (Math.abs(got - expected(seed)) > 1e-5 * expected(seed)) throw new Error(`seed ${seed}: ${got} for ${expected(seed)}`);
    if (i % 10 === 0) await tf.nextFrame().catch(() => {});
  }
}

/** A worker that runs this file; tsx has to be put into every thread. */
function worker(task: string, seed: number): Worker {
  const start = `import('tsx/esm/api').then(({ register }) => { register(); return import('${import.meta.url}'); })`;
  return new Worker(start, { eval: true, workerData: { task, seed } });
}

const scenarios: Record<string, () => Promise<void>> = {
  async 'pending read'() {
    void longOp(10)
      .data()
      .then(() => console.log('read'));
  },
  async 'unread tensors'() {
    longOp();
    longOp();
  },
  async 'exit during an op'() {
    longOp();
    setTimeout(() => process.exit(0), 20);
  },
  async 'exit with a code during a read'() {
    void longOp().data();
    setTimeout(() => process.exit(3), 20);
  },
  async 'uncaught error during an op'() {
    longOp();
    throw new Error('on purpose');
  },
  async 'error that no one reads'() {
    tf.gather(tf.zeros([3]), tf.neg(tf.tensor1d([-9], 'int32'))); // indices that a kernel made are looked at natively
  },
  async 'workers and the main thread'() {
    const workers = [worker('check', 3), worker('check', 5)];
    const ends = workers.map((w) => once(w, 'exit'));
    await check(2);
    for (const [code] of await Promise.all(ends)) if (code !== 0) throw new Error(`a worker ended with ${code}`);
    console.log('right');
  },
  async 'workers terminated at any moment'() {
    await check(2);
    await idle();
    const { liveBytes } = engineMemory();
    const script = new URL('native-steps.cjs', import.meta.url);
    const endOne = async (delay: number) => {
      const w = new Worker(script);
      await once(w, 'message');
      await new Promise((resolve) => setTimeout(resolve, delay));
      await w.terminate();
    };
    for (let round = 0; round < 12; round++) {
      await Promise.all(Array.from({ length: 4 }, (_, i) => endOne((7 * round + 3 * i) % 20)));
    }
    await check(2);
    await idle();
    console.log(`${engineMemory().liveBytes - liveBytes} bytes left behind`);
  },
  async 'bits of a training'() {
    const hash = createHash('sha256');
    for (const shape of [
      [2, 33, 40, 5],
      [1, 9, 20, 24, 3],
    ]) {
      const { step, weights } = smallTraining({ shape, channels: 18 });
      for (let i = 0; i < 5; i++) hash.update(step().dataSync() as Float32Array);
      for (const values of weights()) hash.update(values);
    }
    console.log(hash.digest('hex'));
  },
  async 'training until interrupted'() {
    const { step } = smallTraining({ shape: [1, 32, 96, 96, 16], channels: 32 });
    process.on('SIGINT', () => {
      console.log('interrupted');
      process.exit(130);
    });
    for (let i = 0; ; i++) {
      const loss = step();
      if (i === 1) console.log('second step'); // its kernels are queued, and take seconds
      await loss.data();
      loss.dispose();
    }
  },
  async 'many training steps'() {
    const { step } = smallTraining({ shape: [1, 4, 4, 1] });
    const counted = 10_000;
    let resident = 0;
    let before: { numTensors: number; liveBytes: number } | undefined;
    const counts = () => ({ numTensors: tf.memory().numTensors, liveBytes: engineMemory().liveBytes });
    for (let i = -2000; i < counted; i++) {
      if (i === 0) {
        resident = await residentBytes();
        before = counts();
      }
      const loss = step();
      if (i % 20 === 0) await loss.data();
      loss.dispose();
    }
    const grown = (await residentBytes()) - resident;
    const after = counts();
    console.log(JSON.stringify({ before, after, bytesPerStep: grown / counted }));
  },
  async 'terminated workers'() {
    for (const task of ['long op', 'long read', 'long wait']) {
      const w = worker(task, 1);
      await once(w, 'message');
      await new Promise((resolve) => setTimeout(resolve, 30));
      await w.terminate();
      await check(2);
    }
    console.log('alive');
  },
};

/** Bytes of this process in memory, after the garbage of JavaScript has gone (`--expose-gc`). */
async function residentBytes(): Promise<number> {
  await idle();
  for (let i = 0; i < 3; i++) (globalThis as { gc?: () => void }).gc!();
  return process.memoryUsage.rss();
}

const tasks: Record<string, () => Promise<void>> = {
  check: () => check((workerData as { seed: number }).seed),
  async 'long op'() {
    longOp(20);
    parentPort!.postMessage('started');
    setInterval(() => {}, 1000);
  },
  async 'long read'() {
    const x = longOp(20);
    parentPort!.postMessage('started');
    await x.data();
  },
  async 'long wait'() {
    const x = longOp(20);
    parentPort!.postMessage('started');
    x.dataSync();
    setInterval(() => {}, 1000);
  },
};

await useTorch({ threads: Number(process.env.THREADS ?? 1), deterministic: process.env.DETERMINISTIC === '1' });
await (isMainThread ? scenarios[process.argv[2]!]! : tasks[(workerData as { task: string }).task]!)();
