// Consolidation of 10,000 boxes beside numpy written the original's way: clusters one by one, each seed against all boxes that
// are left. MDT_ORIGINAL=DIR names a checkout of the Python toolkit, whose own functions then run beside them.
import { type Dim, rng } from '@mdt/core';
import { type Candidates, mergeSlices, nonMaximumSuppression, weightedBoxClustering, weightedBoxesFusion } from '@mdt/wbc';
import { benchmark, type Case, inProcess } from './harness.js';
import { pythonPeer } from './process-contestant.js';

const tiny = process.env.MDT_BENCH_TINY === '1';

/** `each` predictions of `n / each` objects in a volume that grows with them: boxes are local, as tiles and views make them. */
function candidates<D extends Dim>(dim: D, n: number, each = 10): Candidates<D> {
  const random = rng(n + dim);
  const side = 40 * (n / each) ** (1 / dim);
  const boxes = new Float64Array(n * 2 * dim);
  const centre = new Float64Array(dim);
  const size = new Float64Array(dim);
  for (let i = 0; i < n; i++) {
    for (let d = 0; d < dim; d++) {
      if (i % each === 0) centre[d] = random.uniform(0, side);
      if (i % each === 0) size[d] = random.uniform(4, 30);
      const at = centre[d]! + random.normal(0, 1.5);
      const half = (size[d]! * random.uniform(0.85, 1.15)) / 2;
      boxes[i * 2 * dim + d] = at - half;
      boxes[i * 2 * dim + dim + d] = at + half;
    }
  }
  const reals = (low: number, high: number) => Float64Array.from({ length: n }, () => random.uniform(low, high));
  return {
    dim,
    boxes,
    scores: reals(0.1, 1),
    labels: new Int32Array(n),
    patchIds: Int32Array.from({ length: n }, (_, i) => i % each),
    centerWeights: reals(0.5, 1),
    overlapCounts: reals(1, 2),
  };
}

/**
 * `n / each` objects with sides of 3 to 28 in a volume of 300³, so that neighbours touch; each box is one of them, moved a little. Of
 * 60 patches; for merging, y and x of the same boxes on 100 slices.
 */
function crowdedVolume(n: number, each = 20): Candidates<3> & { slices: Int32Array } {
  const random = rng('crowded');
  const objects = Array.from({ length: n / each }, () => {
    const min = [0, 1, 2].map(() => random.uniform(0, 270));
    return [...min, ...min.map((low) => low + random.uniform(3, 28))];
  });
  const boxes = new Float64Array(n * 6);
  for (let i = 0; i < n; i++) {
    const object = objects[random.integer(0, objects.length)]!;
    for (let k = 0; k < 6; k++) boxes[i * 6 + k] = object[k]! + random.normal(0, 0.2);
  }
  const reals = (low: number, high: number) => Float64Array.from({ length: n }, () => random.uniform(low, high));
  const integers = (low: number, past: number) => Int32Array.from({ length: n }, () => random.integer(low, past));
  return {
    dim: 3,
    boxes,
    scores: reals(0, 1),
    labels: new Int32Array(n),
    patchIds: integers(0, 60),
    centerWeights: reals(0.1, 1),
    overlapCounts: Float64Array.from(integers(1, 5)),
    slices: integers(0, 100),
  };
}

/** y and x of boxes. */
const flattened = (from: Candidates<3>): Candidates<2> => ({
  ...from,
  dim: 2,
  boxes: from.boxes.filter((_, i) => i % 3 !== 0),
});

/** A peer's request: the same arrays as JSON. */
const plain = ({ dim, boxes, scores, patchIds, centerWeights, overlapCounts }: Candidates, more: object) => ({
  dim,
  boxes: [...boxes],
  scores: [...scores],
  patches: [...patchIds],
  weights: [...centerWeights],
  overlaps: [...overlapCounts],
  ...more,
});

const original = process.env.MDT_ORIGINAL;
const peers = (aCase: () => object) => [
  () => pythonPeer('numpy, clusters one by one', ['consolidation.py'], aCase())(),
  ...(original ? [() => pythonPeer('the original', ['consolidation.py'], { ...aCase(), original })()] : []),
];
const n = tiny ? 500 : 10_000;
const volume = candidates(3, n);
const flat = candidates(2, n);
const slices = Int32Array.from({ length: n }, (_, i) => i % 10);
const fewer = candidates(3, n, 40);
const few = candidates(3, n, 100);
const crowd = candidates(2, n, 2); // most boxes stay alone: what numpy takes longest for
const touching = crowdedVolume(n);
const touchingFlat = flattened(touching);
const options = { iouThreshold: 1e-5, predictionsPerTile: 10, extent: 'inclusive' } as const;
const counts = tiny ? [500] : [1000, 3000, 10_000, 30_000, 100_000];

const cases: Case[] = [
  {
    name: `clustering 3d ${n} of ${n / 20} objects that touch`,
    ours: inProcess('ours', () => weightedBoxClustering(touching, { ...options, predictionsPerTile: 20 })),
    peers: peers(() => plain(touching, { what: 'clustering', threshold: 1e-5, expected: 20 })),
  },
  {
    name: `merging 2d to 3d ${n} of ${n / 20} objects that touch`,
    ours: inProcess('ours', () => mergeSlices(touchingFlat, touching.slices, { iouThreshold: 0.1, extent: 'inclusive' })),
    peers: peers(() => plain(touchingFlat, { what: 'merging', threshold: 0.1, slices: [...touching.slices] })),
  },
  {
    name: `clustering 3d ${n} of ${n / 10} objects`,
    ours: inProcess('ours', () => weightedBoxClustering(volume, options)),
    peers: peers(() => plain(volume, { what: 'clustering', threshold: 1e-5, expected: 10 })),
  },
  {
    name: `clustering 3d ${n} of ${n / 40} objects`,
    ours: inProcess('ours', () => weightedBoxClustering(fewer, { ...options, predictionsPerTile: 40 })),
    peers: peers(() => plain(fewer, { what: 'clustering', threshold: 1e-5, expected: 40 })),
  },
  {
    name: `clustering 3d ${n} of ${n / 100} objects`,
    ours: inProcess('ours', () => weightedBoxClustering(few, { ...options, predictionsPerTile: 100 })),
    peers: peers(() => plain(few, { what: 'clustering', threshold: 1e-5, expected: 100 })),
  },
  {
    name: `merging 2d to 3d ${n} of ${n / 2} objects`,
    ours: inProcess('ours', () => mergeSlices(crowd, slices, { iouThreshold: 0.1, extent: 'inclusive' })),
    peers: peers(() => plain(crowd, { what: 'merging', threshold: 0.1, slices: [...slices] })),
  },
  {
    name: `merging 2d to 3d ${n} of ${n / 10} objects`,
    ours: inProcess('ours', () => mergeSlices(flat, slices, { iouThreshold: 0.1, extent: 'inclusive' })),
    peers: peers(() => plain(flat, { what: 'merging', threshold: 0.1, slices: [...slices] })),
  },
  // Ours beside ours: how the time grows with the number of boxes, and what the other ways to consolidate take.
  ...counts.map((count): Case => {
    const more = candidates(3, count);
    return {
      name: `clustering 3d ${count} beside the other ways`,
      ours: inProcess('clustering', () => weightedBoxClustering(more, options)),
      peers: [
        inProcess('fusion', () => weightedBoxesFusion(more, more.patchIds)),
        inProcess('nms', () => nonMaximumSuppression(more.boxes, more.scores, { dim: 3, iouThreshold: 0.1 })),
      ],
    };
  }),
];

await benchmark('consolidation', cases, { repeat: 7, warmUp: 3 });
