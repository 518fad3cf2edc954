import { type Detections, type Dim, product, selectDetections, type Volume, volume } from '@mdt/core';
import type { Detector } from '@mdt/detectors';
import type { PatchBatch } from '../data/patches.js';
import { plotGrid } from '../plot/overlay.js';

/**
 * Patches of a training batch as the network sees them, with their objects, the anchors that learn from these, and the best of what the
 * network finds at present: an SVG document. A young network finds as much as it may, which would cover everything: shown are twice as many
 * as there are objects, and at least five.
 */
export async function plotBatch<D extends Dim>(
  detector: Detector<D>,
  batch: PatchBatch<D>,
  { title = 'Training patches', count = 6 }: { title?: string; count?: number } = {},
): Promise<string> {
  const { dim, channels } = batch;
  const n = Math.min(count, batch.batchSize);
  const voxels = product(batch.patchSize);
  const { detections } = await detector.detectPatches(batch.images.subarray(0, n * voxels * channels), n, {
    masks: false,
    segmentation: false,
  });
  const items = detections.map((found, i) => {
    const groundTruth = batch.targets[i]!;
    const first = i * voxels * channels;
    const data = Float32Array.from({ length: voxels }, (_, v) => batch.images[first + v * channels]!); // the first channel
    const image = volume({ dim, size: batch.patchSize, data }) as Volume<Dim>;
    const anchors = groundTruth.labels.length > 0 ? detector.matchedAnchors?.(groundTruth) : undefined;
    const best = bestOf(found, Math.max(5, 2 * groundTruth.labels.length));
    const shown = best.labels.length < found.labels.length ? `best ${best.labels.length} of ` : '';
    const learning = anchors ? `, ${anchors.length / (2 * dim)} anchors` : '';
    return {
      image,
      groundTruth,
      detections: best,
      classes: detector.classes,
      caption: `${batch.ids[i]}: ${groundTruth.labels.length} objects${learning}, ${shown}${found.labels.length} found`,
      ...(anchors && { anchors }),
    };
  });
  return plotGrid(items, { title });
}

/** The `count` detections with the highest scores. */
function bestOf<D extends Dim>(found: Detections<D>, count: number): Detections<D> {
  const ranked = Array.from(found.scores.keys()).sort((a, b) => found.scores[b]! - found.scores[a]!);
  return selectDetections(found, ranked.slice(0, count));
}
