// What must not compile. Nothing here runs: `npm run typecheck` fails where one of the lines marked is accepted.
import { resNetFpn } from '@mdt/backbone';
import {
  DetectionUNet2D,
  type Detector,
  FasterRCNN3D,
  MaskRCNN2D,
  RetinaNet2D,
  RetinaNet3D,
  RetinaUNet3D,
  type TrainBatch,
} from '../src/index.js';

const planar = resNetFpn({ dim: 2 });
const volumetric = resNetFpn({ dim: 3 });
const classes = ['benign', 'malignant'] as const;

export function dimensions(batch: TrainBatch<2>, detector: Detector<3>): void {
  new RetinaNet3D({ classes, patchSize: [16, 64, 64], backbone: volumetric });
  // @ts-expect-error: a 2D backbone in a 3D detector
  new RetinaNet3D({ classes, patchSize: [16, 64, 64], backbone: planar });
  // @ts-expect-error: a 3D backbone in a 2D detector
  new MaskRCNN2D({ classes, patchSize: [64, 64], backbone: volumetric });
  // @ts-expect-error: a patch of two axes for volumes
  new RetinaUNet3D({ classes, patchSize: [64, 64] });
  // @ts-expect-error: a patch of three axes for images
  new DetectionUNet2D({ classes, patchSize: [16, 64, 64] });
  // @ts-expect-error: anchors of two axes for volumes
  new FasterRCNN3D({ classes, patchSize: [16, 64, 64], anchors: { sizes: { P2: [8, 8] } } });
  // @ts-expect-error: the batch of a 2D detector for a 3D one
  detector.loss(batch, undefined as never);
}

export function namesOfClasses(): void {
  const detector = new RetinaNet2D({ classes: ['benign', 'malignant'], patchSize: [64, 64] });
  detector.label('malignant');
  // @ts-expect-error: a class that was not declared
  detector.label('unknown');
  // @ts-expect-error: not an option of this detector
  new RetinaNet2D({ classes, patchSize: [64, 64], maskHead: {} });
}
