import { type Detections, type Dim, InputError, type PatchResult, type PerAxis, product } from '@mdt/core';
import { pyramidRoiAlignAsync, roiLevels } from '@mdt/native-ops';
import { gridOf } from './anchors.js';
import type { TwoStageDecoding } from './decoding.js';
import { chunksOf, maskBoxes, pasteDetections } from './masks.js';
import { codingOf, type NetworkDescription, outputCount } from './network-description.js';
import { type DenseOutputs, expectValues, type FeatureMap, type NetworkFunctions } from './network-outputs.js';
import { type Proposals, propose } from './propose.js';
import { refineAll, type ScoredProposals } from './refine.js';
import { foregroundShare, probabilitiesFrom } from './scores.js';

type TwoStage<D extends Dim> = NetworkDescription<D> & { readonly decoding: TwoStageDecoding };

/** The second stage on the outputs of the first: proposals, RoIAlign, the box head, suppression, and masks where they are wanted. */
export async function twoStageResult<D extends Dim>(
  description: TwoStage<D>,
  network: NetworkFunctions,
  outputs: DenseOutputs,
  { count, masks }: { count: number; masks: boolean },
): Promise<PatchResult<D>> {
  const { dim, patchSize, classes, decoding } = description;
  const { legacy, isScoreFiltered, proposals: first, boxHead, nms } = decoding;
  const features = featuresOf(description, outputs, count);
  const scored = await score(description, network, features, proposalsOf(description, outputs, count));
  const detections = await refineAll(
    scored,
    {
      ...{ dim, patchSize, numClasses: classes.length, nms, legacy },
      // The original decodes with the first stage's deviations, which are the same in all its configurations.
      coder: codingOf(dim, legacy ? first.boxCoding : boxHead.boxCoding),
    },
    { isScoreFiltered },
  );
  if (!masks || !decoding.maskHead) return { detections };
  return { detections, masks: await masksOf(description, network, features, detections) };
}

function proposalsOf<D extends Dim>(
  { kind, dim, patchSize, decoding }: TwoStage<D>,
  { logits, deltas }: DenseOutputs,
  count: number,
): Proposals[] {
  const { activation, anchors, boxCoding, ...options } = decoding.proposals;
  const grid = gridOf(dim, anchors, patchSize);
  const outputs = outputCount(activation, 1);
  const scores = grid.levels.map(({ length }, l) => {
    expectValues(kind, `logits${l}`, logits[l], count * length * outputs);
    expectValues(kind, `deltas${l}`, deltas[l], count * length * 2 * dim);
    return foregroundShare(activation, logits[l]!, 0, count * length, outputs);
  });
  const coder = codingOf(dim, boxCoding);
  return propose(scores, deltas, count, { ...options, grid, coder, patchSize, legacy: decoding.legacy });
}

/** The maps that boxes are pooled from, checked. */
function featuresOf<D extends Dim>(
  { kind, dim, patchSize, decoding }: TwoStage<D>,
  { features = [] }: DenseOutputs,
  count: number,
): readonly FeatureMap[] {
  gridOf(dim, decoding.proposals.anchors, patchSize).levels.forEach(({ cells }, l) => {
    const map = features[l];
    if (map?.size.join() !== cells.join() || map.channels !== features[0]!.channels) {
      const got = map ? `${map.size.join('x')} cells, ${map.channels} channels` : 'nothing';
      throw new InputError(
        'invalid-data',
        `${kind}: the network's output 'features${l}' has ${got}, expected ${cells.join('x')} cells`,
      );
    }
    expectValues(kind, `features${l}`, map.values, count * product(cells) * map.channels);
  });
  return features;
}

/** The pyramid level of each box; a square of the patch's side goes to the fourth. */
export function levelsOfBoxes(boxes: Float32Array, patchSize: PerAxis, levels: number): Int32Array {
  const [height, width] = patchSize.slice(-2) as [number, number];
  return roiLevels(boxes, { dim: patchSize.length as Dim, levels, canonicalSize: Math.sqrt(height * width) });
}

function pooled<D extends Dim>(
  { dim, patchSize, decoding }: TwoStage<D>,
  features: readonly FeatureMap[],
  boxes: Float32Array,
  images: Int32Array,
  poolSize: readonly number[],
): Promise<Float32Array> {
  const { levels } = decoding.proposals.anchors;
  const { channels, size, values } = features[0]!;
  return pyramidRoiAlignAsync(
    features.map((map, l) => ({ values: map.values, size: map.size, scale: levels[l]!.stride.map((s) => 1 / s) })),
    boxes,
    {
      ...{ dim, channels, images, poolSize, sampling: decoding.rois.sampling },
      batch: values.length / (product(size) * channels),
      levels: levelsOfBoxes(boxes, patchSize, levels.length),
    },
  );
}

async function score<D extends Dim>(
  description: TwoStage<D>,
  network: NetworkFunctions,
  features: readonly FeatureMap[],
  proposals: readonly Proposals[],
): Promise<ScoredProposals[]> {
  const { kind, dim, classes, decoding } = description;
  const { activation, poolSize } = decoding.boxHead;
  const outputs = outputCount(activation, classes.length);
  const values = (classes.length + 1) * 2 * dim;
  const scored: ScoredProposals[] = [];
  for (const [image, { boxes }] of proposals.entries()) {
    const n = boxes.length / (2 * dim);
    const probabilities = new Float64Array(n * outputs);
    const deltas = new Float32Array(n * values);
    for (let from = 0; from < n; from += decoding.rois.chunkSize) {
      const to = Math.min(n, from + decoding.rois.chunkSize);
      const images = new Int32Array(to - from).fill(image);
      const part = boxes.subarray(from * 2 * dim, to * 2 * dim);
      const head = await network.boxHead!(await pooled(description, features, part, images, poolSize), to - from);
      expectValues(kind, 'boxHead logits', head.logits, (to - from) * outputs);
      expectValues(kind, 'boxHead deltas', head.deltas, (to - from) * values);
      probabilities.set(probabilitiesFrom(activation, head.logits, outputs, decoding), from * outputs);
      deltas.set(head.deltas, from * values);
    }
    scored.push({ boxes, probabilities, deltas });
  }
  return scored;
}

async function masksOf<D extends Dim>(
  description: TwoStage<D>,
  network: NetworkFunctions,
  features: readonly FeatureMap[],
  detections: readonly Detections<D>[],
): Promise<Uint8Array[]> {
  const { kind, patchSize, classes, decoding } = description;
  const { legacy } = decoding;
  const { poolSize, shape } = decoding.maskHead!;
  const cells = product(shape);
  const outputs = classes.length + 1;
  const pasted: Uint8Array[] = [];
  for (const [image, found] of detections.entries()) {
    const own = new Uint8Array(found.labels.length * product(patchSize));
    for (const { from, boxes, labels } of chunksOf(found, decoding.rois.chunkSize)) {
      const images = new Int32Array(labels.length).fill(image);
      const input = await pooled(description, features, maskBoxes(boxes, { patchSize, legacy }), images, poolSize);
      const logits = await network.maskHead!(input, labels.length);
      expectValues(kind, 'maskHead logits', logits, labels.length * cells * outputs);
      const probabilities = new Float32Array(labels.length * cells);
      for (let i = 0; i < probabilities.length; i++) {
        const label = labels[Math.floor(i / cells)]!;
        probabilities[i] = 1 / (1 + Math.exp(-logits[i * outputs + label + 1]!));
      }
      pasteDetections(probabilities, boxes, { shape, patchSize, legacy }, own, from);
    }
    pasted.push(own);
  }
  return pasted;
}
