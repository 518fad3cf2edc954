// The engine beside PyTorch, in one interleaved run: single layers on the shapes of the original's networks, a ResNet block, whole
// training steps, and the cost of a tiny op from the language.
//
// Peers: PyTorch in its default layout, in channels-last layout, and in channels-last with bfloat16 autocast; tfjs-node too where
// MDT_TFJS_NODE=DIR names a folder whose node_modules hold a built one. Backward is a forward pass and all gradients from one of
// the output. A repetition of a short case is several calls, of which the last is waited for; its time is the mean.
// MDT_BENCH_TINY=1 shrinks the images, to see that everything runs. A quick look: --repeat 3 --only 'conv3d'.
import { existsSync } from 'node:fs';
import { callsOf, type EngineCase, engineWorks } from './engine-case.js';
import { benchmark, type Case, threads } from './harness.js';
import { SharedProcess } from './process-contestant.js';

const tiny = process.env.MDT_BENCH_TINY === '1';
const tfjsNode = process.env.MDT_TFJS_NODE;
if (!tfjsNode) console.log('tfjs-node is absent: MDT_TFJS_NODE names no folder with a built one.');
else if (!existsSync(`${tfjsNode}/node_modules/@tensorflow/tfjs-node/lib`)) {
  throw new RangeError(`MDT_TFJS_NODE=${tfjsNode} holds no built node_modules/@tensorflow/tfjs-node`);
}

// Each contestant is one process for all cases; starting PyTorch takes longer than most of them.
const ours = SharedProcess.ofNode('ours', 'engine-ours.ts');
const ofPytorch = (name: string, layout: string) => SharedProcess.ofPython(name, ['torch_ops.py', layout]);
const plain = ofPytorch('PyTorch', 'default');
const channelsLast = ofPytorch('PyTorch channels-last', 'channels_last');
const autocast = ofPytorch('PyTorch channels-last autocast', 'autocast');
const tensorflow = tfjsNode ? [SharedProcess.ofNode('tfjs-node', 'engine-ours.ts', [tfjsNode])] : [];

const suffix = tiny ? ' tiny' : '';
const cases = (['float32', 'bfloat16'] as const).flatMap((precision): Case[] => {
  const peers = precision === 'float32' ? [channelsLast, plain, ...tensorflow] : [autocast, plain];
  const make = (name: string, aCase: EngineCase): Case => ({
    name,
    ours: ours.contestant(aCase),
    peers: peers.map((peer) => peer.contestant(aCase)),
  });
  const works = engineWorks(tiny).flatMap(([name, work]) =>
    (work.kind === 'step' ? (['step'] as const) : (['forward', 'backward'] as const)).map((direction) =>
      make(`${name}${suffix} ${direction} ${precision}`, { work, direction, precision, threads, calls: callsOf(work) }),
    ),
  );
  const add: EngineCase = { work: { kind: 'tiny add' }, direction: 'forward', precision, threads, calls: 1 };
  return precision === 'float32' ? [...works, make(`1000 tiny adds${suffix} forward float32`, add)] : works;
});

try {
  await benchmark('engine', cases, { repeat: 15, warmUp: 2 });
} finally {
  await Promise.all([ours, plain, channelsLast, autocast, ...tensorflow].map((shared) => shared.close()));
}
