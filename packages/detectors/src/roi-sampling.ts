import type { BoxArray, Dim, GroundTruth, Random } from '@mdt/core';
import type { Proposals } from '@mdt/decode';
import type { Matching } from './matcher.js';
import type { ProposalMatcher } from './proposal-matcher.js';
import type { Sampler } from './sampler.js';

/** The proposals of a batch that the second stage learns from: positives of all images first, then negatives. */
export interface RoiSample {
  /** Flat rows, voxels of the patch. */
  boxes: Float32Array;
  /** `[n]`: which image. */
  images: Int32Array;
  /** `[n]`: 0 background, else 1 + label. */
  labels: Int32Array;
  /** Weight of each row in the class loss. */
  weights: Float32Array;
  /** Of the positives, which are the first rows: the place of their object among the targets of their image. */
  objects: Int32Array;
  /** Of the positives: their objects' boxes, and their weight in the box loss. */
  goals: Float64Array;
  boxWeights: Float32Array;
}

/**
 * Assigns objects to proposals and picks those that enter the loss.
 *
 * @param hardness per image and proposal: how much the second stage takes it for an object now
 */
export function sampleRois<D extends Dim>(
  dim: D,
  proposals: readonly Proposals[],
  hardness: readonly Float64Array[],
  targets: readonly GroundTruth<D>[],
  { matcher, sampler }: { matcher: ProposalMatcher; sampler: Sampler },
  random: Random,
): RoiSample {
  const width = 2 * dim;
  const matchings = proposals.map(({ boxes }, image) => matcher.match(boxes, targets[image]!));
  const samples = sampler.sample(
    matchings.map((matching, image) => ({ matching, hardness: hardness[image]! })),
    random,
  );
  const rows: { image: number; proposal: number; label: number; weight: number }[] = [];
  const objects: number[] = [];
  const goals: number[] = [];
  const boxWeights: number[] = [];
  samples.forEach(({ positives, weights }, image) => {
    const matching: Matching = matchings[image]!;
    for (const i of positives) {
      const object = matching.targets[i]!;
      rows.push({ image, proposal: matching.positives[i]!, label: matching.labels[i]! + 1, weight: weights.positive });
      objects.push(object);
      goals.push(...rowOf(targets[image]!.boxes, object, width));
      boxWeights.push(weights.box);
    }
  });
  samples.forEach(({ negatives, weights }, image) => {
    for (const proposal of negatives) rows.push({ image, proposal, label: 0, weight: weights.negative });
  });
  return {
    boxes: Float32Array.from(rows.flatMap(({ image, proposal }) => rowOf(proposals[image]!.boxes, proposal, width))),
    images: Int32Array.from(rows, ({ image }) => image),
    labels: Int32Array.from(rows, ({ label }) => label),
    weights: Float32Array.from(rows, ({ weight }) => weight),
    objects: Int32Array.from(objects),
    goals: Float64Array.from(goals),
    boxWeights: Float32Array.from(boxWeights),
  };
}

const rowOf = (rows: BoxArray, i: number, width: number): number[] => Array.from(rows.subarray(i * width, (i + 1) * width));
