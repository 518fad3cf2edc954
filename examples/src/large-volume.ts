// A scan of 1000 x 512 x 512 voxels through a Retina U-Net with 4 start filters: how much memory prediction takes beside the scan.
// Run: npx tsx examples/src/large-volume.ts [--size 1000,512,512] [--limit 3]   (limit in GiB; more ends with exit code 1)
import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { type PerAxis, perAxis, product, volume } from '@mdt/core';
import { createDetector, createPredictor, selectEngine } from '@mdt/toolkit';

const { values } = parseArgs({
  options: { size: { type: 'string', default: '1000,512,512' }, limit: { type: 'string', default: '3' } },
});
const size = perAxis(3, values.size.split(',').map(Number)) as PerAxis<3>;

/** Memory that this process has in use, and the most that it ever had, in GiB. */
function gibibytes(): { now: number; peak: number } {
  const status = readFileSync('/proc/self/status', 'utf8');
  const read = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(status)![1]) / 2 ** 20;
  return { now: read('VmRSS'), peak: read('VmHWM') };
}

await selectEngine();
// Noise that needs no generator of its own; the network is not trained, so boxes are many and mean nothing.
const data = new Float32Array(product(size));
for (let i = 0; i < data.length; i++) data[i] = ((i * 2654435761) % 4096) / 4096;
const scan = volume({ dim: 3, size, data });

const detector = createDetector(
  {
    kind: 'RetinaUNet3D',
    classes: ['lesion'],
    patchSize: [64, 128, 128],
    backbone: { startFilters: 4, outChannels: 8, norm: 'instance' },
    headFilters: 8,
  },
  { dim: 3 },
);
const predictor = createPredictor([detector], { minOverlap: [8, 8, 8], segmentation: 'labels', minScore: 0.1 });
const before = gibibytes().now;
console.log(`scan of ${size.join(' x ')} voxels and an empty network: ${before.toFixed(2)} GiB`);
const started = performance.now();
let shown = started;
const { detections, segmentationLabels, timings } = await predictor.predict(scan, {
  onProgress(done, total) {
    if (performance.now() - shown < 10_000 && done < total) return;
    shown = performance.now();
    const seconds = (shown - started) / 1000;
    console.log(`tile ${done} of ${total}, ${seconds.toFixed(0)} s, peak ${gibibytes().peak.toFixed(2)} GiB`);
  },
});
const { peak } = gibibytes();
console.log(`${detections.labels.length} boxes, ${segmentationLabels!.data.length} voxels labelled`);
console.log(`consolidation ${(timings.consolidateMs / 1000).toFixed(1)} s of ${(timings.totalMs / 1000).toFixed(1)} s`);
console.log(`peak ${peak.toFixed(2)} GiB, ${(peak - before).toFixed(2)} GiB above the start`);
if (peak > Number(values.limit)) {
  console.error(`more than the limit of ${values.limit} GiB`);
  process.exitCode = 1;
}
