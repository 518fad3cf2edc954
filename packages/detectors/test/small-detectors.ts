import type { DividedDetector } from '../src/index.js';
import * as detectors from '../src/index.js';

const common = { classes: ['a', 'b'], startFilters: 2, outChannels: 4 };
const anchors = { sizes: { P2: [8, 8], P3: [16, 16] }, aspectRatios: [1], octaves: 1 };
const deep = { ...anchors, sizes: { P2: [4, 8, 8], P3: [8, 16, 16] } };
const flat = { ...common, patchSize: [32, 32] as const };
const solid = { ...common, patchSize: [8, 32, 32] as const };
const one = { headFilters: 4, nms: { minScore: 0.34 } };
const two = { ...one, boxHead: { filters: 8, chunkSize: 7 }, proposals: { inference: 9 }, nms: { minScore: 0.3 } };
/** One of each of the ten, small enough for the plain JavaScript engine, with different parts. */
export const smallDetectors: Record<string, () => DividedDetector> = {
  RetinaNet2D: () => new detectors.RetinaNet2D({ ...flat, ...one, anchors } as never),
  RetinaNet3D: () => new detectors.RetinaNet3D({ ...solid, ...one, anchors: deep } as never),
  RetinaUNet2D: () =>
    new detectors.RetinaUNet2D({ ...flat, ...one, anchors, classLoss: detectors.focalLoss(), nms: { minScore: 0 } } as never),
  RetinaUNet3D: () => new detectors.RetinaUNet3D({ ...solid, ...one, anchors: deep, legacy: true } as never),
  MaskRCNN2D: () => new detectors.MaskRCNN2D({ ...flat, ...two, anchors } as never),
  MaskRCNN3D: () => new detectors.MaskRCNN3D({ ...solid, ...two, anchors: deep, legacy: true } as never),
  FasterRCNN2D: () => new detectors.FasterRCNN2D({ ...flat, ...two, anchors, segmenter: {} } as never),
  FasterRCNN3D: () => new detectors.FasterRCNN3D({ ...solid, ...two, anchors: deep } as never),
  DetectionUNet2D: () => new detectors.DetectionUNet2D({ ...flat, minScore: 0, startFilters: 4 }),
  DetectionUNet3D: () => new detectors.DetectionUNet3D({ ...solid, startFilters: 4, legacy: true }),
};
