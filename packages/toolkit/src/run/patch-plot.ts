import { type Dim, product, type Volume, volume } from '@mdt/core';
import type { Detector } from '@mdt/detectors';
import type { PatchBatch } from '../data/patches.js';
import { plotGrid } from '../plot/overlay.js';

/**
 * Patches of a training batch as the network sees them, with their objects, the anchors that learn from these, and what the network finds
 * at present: an SVG document.
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
    const learning = anchors ? `, ${anchors.length / (2 * dim)} anchors` : '';
    return {
      image,
      groundTruth,
      detections: found,
      classes: detector.classes,
      caption: `${batch.ids[i]}: ${groundTruth.labels.length} objects${learning}, ${found.labels.length} found`,
      ...(anchors && { anchors }),
    };
  });
  return plotGrid(items, { title: `${title} (green: objects, blue: anchors, orange: found)` });
}
