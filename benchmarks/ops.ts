// The ops of @mdt/native-ops beside their TypeScript twins and what Python has for the same work, with as many threads each
// (scipy and numpy have one). All read the same arrays; reading them, and Python's, is not counted.
//
// A peer is left out where it would take minutes: the twin of the spline, the loops over kept boxes when many are kept.
import { benchmark, threads as both, type Case } from './harness.js';
import { nmsData, type OpsCase, roiData, scanData } from './ops-case.js';
import { nodeProcess, pythonPeer } from './process-contestant.js';

const peerNames = {
  twin: 'TypeScript twin',
  numpy: 'numpy loop',
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

const nms = ([1000, 10_000, 100_000] as const).flatMap((n) =>
  (['few', 'many'] as const).map((kept) => {
    const quick = kept === 'few' && n < 100_000;
    const peers = quick
      ? (['twin', 'numpy', 'monai'] as const)
      : n < 100_000 || kept === 'few'
        ? (['twin', 'numpy'] as const)
        : (['numpy'] as const);
    return opsCase(`nms 3d ${n} ${kept} kept float64`, peers, () => ({
      ...{ op: 'nms', threads: both, data: nmsData(n, kept), iouThreshold: 0.3 },
    }));
  }),
);

const roi = (['roiAlign', 'roiAlignGrad'] as const).flatMap((op) => {
  const direction = op === 'roiAlign' ? 'forward' : 'backward';
  const deep = { size: [32, 64, 64], channels: 36, pool: [3, 7, 7] };
  const flat = { size: [80, 80], channels: 256, pool: [7, 7] };
  const data = (count: number, { size, channels, pool }: typeof deep) => roiData(count, size, channels, pool);
  return [
    opsCase(`roi_align 3d 500 of 3x7x7 36-32x64x64 ${direction} float32`, ['twin', 'torch'], () => ({
      ...{ op, threads: both, data: data(500, deep), sampling: 'single', ratio: 0, ...deep },
    })),
    ...[both, 1].map((threads) =>
      opsCase(
        `roi_align 2d 1000 of 7x7 256-80x80 ${direction} float32${threads === 1 ? ', 1 thread' : ''}`,
        threads === 1 ? ['torchvision'] : ['twin', 'torchvision'],
        () => ({ ...{ op, threads, data: data(1000, flat), sampling: 'average', ratio: 2, ...flat } }),
      ),
    ),
  ];
});

const size = [200, 512, 512];
const components = ([6, 26] as const).map((connectivity) =>
  opsCase(`components 3d 200x512x512 connectivity ${connectivity} uint8`, ['twin', 'scipy', 'scipy-labels'], () => ({
    ...{ op: 'components', threads: both, data: scanData(size), size, connectivity },
  })),
);

// 1.25 × 0.7 × 0.7 mm to 1 mm.
const spacing = [1.25, 0.7, 0.7];
const resampled = (['linear', 'cubic'] as const).map((order) =>
  opsCase(`resample 3d 200x512x512 ${order} float32`, order === 'linear' ? ['twin', 'scipy', 'torch'] : ['scipy'], () => ({
    ...{ op: 'resample', threads: both, data: scanData(size), size, order },
    ...{ outputSize: size.map((n, d) => Math.floor((n - 1) * spacing[d]!) + 1), step: spacing.map((s) => 1 / s) },
  })),
);

await benchmark('ops', [...nms, ...roi, ...components, ...resampled], { repeat: 3 });
