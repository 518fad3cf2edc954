import type { Precision } from '@mdt/tfjs-torch';

/** One op or network of the engine benchmark, as every contestant is told it. Arrays are channels last. */
export type EngineWork =
  | { kind: 'conv'; x: number[]; filter: number[]; strides: number[]; pads: number[] }
  | { kind: 'instance norm'; x: number[] }
  | { kind: 'max pool'; x: number[]; window: number[]; strides: number[]; pads: number[] }
  | { kind: 'resize'; x: number[]; factors: number[] }
  /** He et al. 2016: 1×1, 3×3(×3), 1×1 beside the shortcut, ReLU. */
  | { kind: 'block'; x: number[]; planes: number }
  /** A stem, `blocks` blocks, the mean of all as loss; gradients and Adam. */
  | { kind: 'step'; x: number[]; channels: number; blocks: number }
  /** 1000 sums of two tensors of four values. */
  | { kind: 'tiny add' };

export interface EngineCase {
  work: EngineWork;
  /** `backward`: all gradients from one of the output; a step is whole. */
  direction: 'forward' | 'backward' | 'step';
  precision: Precision;
  threads: number;
  /** How often a repetition does it, so that waking threads and filling caches count as little as in a training step. */
  calls: number;
}

/** Calls that take some ten milliseconds, by what one of them computes or, for layers without products, moves. */
export function callsOf(work: EngineWork): number {
  if (work.kind !== 'conv') return work.kind === 'step' || work.kind === 'tiny add' ? 1 : 3;
  const outputs = work.strides.reduce((size, stride, d) => size * Math.ceil(work.x[d + 1]! / stride), work.x[0]!);
  const products = outputs * work.filter.reduce((product, n) => product * n, 1);
  return Math.min(40, Math.max(1, Math.round(1.5e9 / products)));
}

interface Layer {
  name: string;
  x: number[];
  kernel: number;
  out: number;
  strides?: number[];
}

// The layers of the original's Retina U-Net on which its time is spent: its LIDC experiment (start_filts 18, end_filts 36, patch
// 64 × 128 × 128) and its toy experiment (48, 192, 320 × 320).
const layers: Layer[] = [
  { name: 'C0', x: [1, 64, 128, 128, 18], kernel: 3, out: 18 },
  { name: 'C1', x: [1, 64, 128, 128, 18], kernel: 7, out: 18, strides: [1, 2, 2] },
  { name: 'C2', x: [1, 64, 32, 32, 18], kernel: 3, out: 18 },
  { name: 'C2 out', x: [1, 64, 32, 32, 18], kernel: 1, out: 72 },
  { name: 'C3', x: [1, 32, 16, 16, 36], kernel: 3, out: 36 },
  { name: 'C3 in', x: [1, 64, 32, 32, 72], kernel: 1, out: 36, strides: [2, 2, 2] },
  { name: 'C4', x: [1, 16, 8, 8, 72], kernel: 3, out: 72 },
  { name: 'C5', x: [1, 8, 4, 4, 144], kernel: 3, out: 144 },
  { name: 'P0', x: [1, 64, 128, 128, 36], kernel: 3, out: 36 },
  { name: 'P2', x: [1, 64, 32, 32, 36], kernel: 3, out: 36 },
  { name: 'head', x: [1, 64, 32, 32, 128], kernel: 3, out: 128 },
  { name: 'C1', x: [4, 320, 320, 1], kernel: 7, out: 48, strides: [2, 2] },
  { name: 'C2', x: [4, 80, 80, 48], kernel: 3, out: 48 },
  { name: 'C2 out', x: [4, 80, 80, 48], kernel: 1, out: 192 },
  { name: 'C3', x: [4, 40, 40, 96], kernel: 3, out: 96 },
  { name: 'C4', x: [4, 20, 20, 192], kernel: 3, out: 192 },
  { name: 'C4 in', x: [4, 40, 40, 384], kernel: 1, out: 192, strides: [2, 2] },
  { name: 'C5', x: [4, 10, 10, 384], kernel: 3, out: 384 },
  { name: 'P2', x: [4, 80, 80, 192], kernel: 3, out: 192 },
  { name: 'head', x: [4, 40, 40, 512], kernel: 3, out: 512 },
];

/** What is timed, by name; `tiny` shortens every axis of an image to an eighth, to see that everything runs. */
export function engineWorks(tiny: boolean): [name: string, work: EngineWork][] {
  const image = (x: number[]) => x.map((n, d) => (tiny && d > 0 && d < x.length - 1 ? Math.max(4, n / 8) : n));
  const convs = layers.map(({ name, x, kernel, out, strides }): [string, EngineWork] => {
    const dim = x.length - 2;
    const window = Array.from({ length: dim }, () => kernel);
    const work: EngineWork = {
      kind: 'conv',
      x: image(x),
      filter: [...window, x.at(-1)!, out],
      strides: strides ?? window.map(() => 1),
      pads: window.map(() => Math.floor(kernel / 2)),
    };
    return [`conv${dim}d ${name} ${x.at(-1)}-${out} k${kernel} ${x.slice(1, -1).join('x')}`, work];
  });
  const pool = { window: [3, 3, 3], strides: [1, 2, 2], pads: [1, 1, 1] };
  return [
    ...convs,
    ['instance norm 3d 18', { kind: 'instance norm', x: image([1, 64, 128, 128, 18]) }],
    ['instance norm 2d 192', { kind: 'instance norm', x: image([4, 80, 80, 192]) }],
    ['max pool 3d 18', { kind: 'max pool', x: image([1, 64, 64, 64, 18]), ...pool }],
    ['max pool 2d 48', { kind: 'max pool', x: image([4, 160, 160, 48]), window: [3, 3], strides: [2, 2], pads: [1, 1] }],
    ['resize 3d 36', { kind: 'resize', x: image([1, 64, 64, 64, 36]), factors: [1, 2, 2] }],
    ['resize 2d 192', { kind: 'resize', x: image([4, 40, 40, 192]), factors: [2, 2] }],
    ['block 3d 72', { kind: 'block', x: image([1, 64, 32, 32, 72]), planes: 18 }],
    ['block 2d 192', { kind: 'block', x: image([4, 80, 80, 192]), planes: 48 }],
    ['step 3d', { kind: 'step', x: image([1, 64, 64, 64, 1]), channels: 18, blocks: 2 }],
    ['step 2d', { kind: 'step', x: image([4, 160, 160, 1]), channels: 48, blocks: 2 }],
  ];
}
