// The ops of @mdt/native-ops beside their TypeScript twins and what Python has for the same work, with as many threads each
// (scipy and numpy have one). All read the same arrays; reading them, and Python's, is not counted.
//
// A peer is left out where it would take minutes: the twin of the spline, the loops over kept boxes when many of 100 000 are kept.
import { benchmark, threads as both, type Case } from './harness.js';
import { nmsData, noiseData, type OpsCase, roiData, scanData } from './ops-case.js';
import { nodeProcess, pythonPeer } from './process-contestant.js';

const peerNames = {
  twin: 'TypeScript twin',
  numpy: 'numpy loop',
  tree: 'scipy cKDTree',
  monai: 'MONAI non_max_suppression',
  torch: 'PyTorch grid_sample',
  torchvision: 'torchvision roi_align',
  scipy: 'scipy.ndimage',
  'scipy-labels': 'scipy.ndimage, labels only',
} as const;

function opsCase(name: string, peers: readonly (keyof typeof peerNames)[], task: () => OpsCase): Case {
  let made: OpsCase | undefined;
  const once = () => (made ??= task());
  return {
    name,
    ours: () => nodeProcess('ours', 'ops-ours.ts', once())(),
    peers: peers.map((peer) => () => {
      if (peer === 'twin') return nodeProcess(peerNames.twin, 'ops-ours.ts', once(), ['twin'])();
      return pythonPeer(peerNames[peer], ['ops_peer.py', peer], once())();
    }),
  };
}

const nmsPeers = {
  1000: { few: ['twin', 'numpy', 'tree', 'monai'], many: ['twin', 'numpy', 'tree'] },
  10000: { few: ['twin', 'numpy', 'tree', 'monai'], many: ['twin', 'numpy', 'tree'] },
  100000: { few: ['twin', 'numpy'], many: ['tree'] }, // few: a tree finds millions of pairs, too many for a loop in Python
} as const;
const nms = ([1000, 10_000, 100_000] as const).flatMap((n) =>
  (['few', 'many'] as const).map((kept) =>
    opsCase(`nms 3d ${n} ${kept} kept float64`, nmsPeers[n][kept], () => ({
      ...{ op: 'nms', threads: both, data: nmsData(n, kept), iouThreshold: 0.3 },
    })),
  ),
);

/** The case with both threads, and with one beside the peers that are not TypeScript. */
const onBothAndOne = (name: string, peers: readonly (keyof typeof peerNames)[], task: (threads: number) => OpsCase): Case[] => [
  opsCase(name, peers, () => task(both)),
  opsCase(
    `${name}, 1 thread`,
    peers.filter((peer) => peer !== 'twin'),
    () => task(1),
  ),
];

const roi = (['roiAlign', 'roiAlignGrad'] as const).flatMap((op) => {
  const direction = op === 'roiAlign' ? 'forward' : 'backward';
  const deep = { size: [32, 64, 64], channels: 36, pool: [3, 7, 7] };
  const flat = { size: [80, 80], channels: 256, pool: [7, 7] };
  const data = (count: number, { size, channels, pool }: typeof deep) => roiData(count, size, channels, pool);
  return [
    ...onBothAndOne(`roi_align 3d 500 of 3x7x7 36-32x64x64 ${direction} float32`, ['twin', 'torch'], (threads) => ({
      ...{ op, threads, data: data(500, deep), sampling: 'single', ratio: 0, ...deep },
    })),
    ...onBothAndOne(`roi_align 2d 1000 of 7x7 256-80x80 ${direction} float32`, ['twin', 'torchvision'], (threads) => ({
      ...{ op, threads, data: data(1000, flat), sampling: 'average', ratio: 2, ...flat },
    })),
  ];
});

const size = [200, 512, 512];
const components = (['balls', 'noise'] as const).flatMap((mask) =>
  ([6, 26] as const).flatMap((connectivity) =>
    onBothAndOne(
      `components 3d 200x512x512 ${mask} connectivity ${connectivity} uint8`,
      mask === 'balls' ? ['twin', 'scipy', 'scipy-labels'] : ['scipy-labels'],
      (threads) => ({
        ...{ op: 'components', threads, data: mask === 'balls' ? scanData(size) : noiseData(size), size, connectivity },
      }),
    ),
  ),
);

// 1.25 × 0.7 × 0.7 mm to 1 mm.
const spacing = [1.25, 0.7, 0.7];
const resamplePeers = { nearest: ['scipy', 'torch'], linear: ['twin', 'scipy', 'torch'], cubic: ['scipy'] } as const;
const resampled = (['nearest', 'linear', 'cubic'] as const).flatMap((order) =>
  onBothAndOne(`resample 3d 200x512x512 ${order} float32`, resamplePeers[order], (threads) => ({
    ...{ op: 'resample', threads, data: scanData(size), size, order },
    ...{ outputSize: size.map((n, d) => Math.floor((n - 1) * spacing[d]!) + 1), step: spacing.map((s) => 1 / s) },
  })),
);

await benchmark('ops', [...nms, ...roi, ...components, ...resampled], { repeat: 3 });
