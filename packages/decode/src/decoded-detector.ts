import {
  type Detections,
  type DetectPatchesOptions,
  type Dim,
  InputError,
  type PatchDetector,
  type PatchResult,
  product,
} from '@mdt/core';
import { gridOf } from './anchors.js';
import type { ComponentDecoding, OneStageDecoding } from './decoding.js';
import { codingOf, type NetworkDescription, outputCount } from './network-description.js';
import { type DenseOutputs, expectValues, type NetworkFunctions } from './network-outputs.js';
import { objectsOf } from './objects.js';
import { postprocess } from './postprocess.js';
import { probabilitiesFrom } from './scores.js';
import { twoStageResult } from './two-stage-result.js';

/** A detector of a network that runs somewhere else: on onnxruntime, for one. Its outputs are checked for their lengths. */
export function decodedDetector<D extends Dim>(
  description: NetworkDescription<D>,
  network: NetworkFunctions & { dispose(): void },
): PatchDetector<D> {
  const { kind, dim, classes, patchSize, inChannels, decoding } = description;

  async function detectPatches(
    patches: Float32Array,
    count: number,
    { masks = true, segmentation = true }: DetectPatchesOptions = {},
  ): Promise<PatchResult<D>> {
    if (!(count > 0) || patches.length !== count * product(patchSize) * inChannels) {
      const expected = `${count} patches of ${patchSize.join('x')} voxels and ${inChannels} channels`;
      throw new InputError('shape-mismatch', `${kind}: detectPatches got ${patches.length} values, expected ${expected}`);
    }
    const isSegmented = segmentation || decoding.method === 'components';
    const outputs = await network.dense(patches, count, { segmentation: isSegmented });
    const map = isSegmented ? segmentationOf(description, outputs, count) : undefined;
    const given = map && segmentation ? { segmentation: map } : {};
    switch (decoding.method) {
      case 'anchors':
        return { detections: await oneStage(description, decoding, outputs, count), ...given };
      case 'components':
        return { detections: components(description, decoding, map, count), ...given };
      case 'proposals':
        return { ...(await twoStageResult({ ...description, decoding }, network, outputs, { count, masks })), ...given };
    }
  }

  return { kind, dim, classes, patchSize, inChannels, detectPatches, dispose: () => network.dispose() };
}

function oneStage<D extends Dim>(
  { kind, dim, patchSize, classes }: NetworkDescription<D>,
  { activation, anchors, boxCoding: coding, nms, legacy }: OneStageDecoding,
  { logits, deltas }: DenseOutputs,
  batchSize: number,
): Promise<Detections<D>[]> {
  const grid = gridOf(dim, anchors, patchSize);
  const outputs = outputCount(activation, classes.length);
  grid.levels.forEach(({ length }, l) => {
    expectValues(kind, `logits${l}`, logits[l], batchSize * length * outputs);
    expectValues(kind, `deltas${l}`, deltas[l], batchSize * length * 2 * dim);
  });
  const probabilities = logits.map((level) => probabilitiesFrom(activation, level, outputs, { legacy }));
  const options = { grid, coder: codingOf(dim, coding), patchSize, numClasses: classes.length, nms, legacy };
  return postprocess({ batchSize, probabilities, deltas }, options);
}

function components<D extends Dim>(
  { kind, dim, patchSize, classes }: NetworkDescription<D>,
  options: ComponentDecoding,
  map: Float32Array | undefined,
  count: number,
): Detections<D>[] {
  const length = product(patchSize) * (classes.length + 1);
  expectValues(kind, 'segmentation', map, count * length);
  return Array.from({ length: count }, (_, image) =>
    objectsOf(dim, map!.subarray(image * length, (image + 1) * length), patchSize, { ...options, numClasses: classes.length }),
  );
}

function segmentationOf(
  { kind, patchSize }: NetworkDescription,
  { segmentation }: DenseOutputs,
  count: number,
): Float32Array | undefined {
  if (!segmentation) return undefined;
  const outputs = segmentation.length / (count * product(patchSize));
  if (!Number.isInteger(outputs) || outputs < 2) {
    const text = `${kind}: the network's output 'segmentation' has ${segmentation.length} values for ${count} patches of ${patchSize.join('x')}`;
    throw new InputError('invalid-data', text);
  }
  return probabilitiesFrom('softmax', segmentation, outputs, { legacy: true }) as Float32Array; // floats: a map is large
}
