import {
  DetectionUNet2D,
  DetectionUNet3D,
  type Detector,
  FasterRCNN2D,
  FasterRCNN3D,
  hardNegatives,
  MaskRCNN2D,
  MaskRCNN3D,
  RetinaNet2D,
  RetinaNet3D,
  RetinaUNet2D,
  RetinaUNet3D,
} from '@mdt/detectors';
import type { RetinaCase } from './retina-case.js';

const classes = ['benign', 'malignant'];
const legacy = true; // the original's arithmetic, so that first losses can be compared

/** A detector as the original's LIDC experiment configures it. */
export function volumetricDetector({ model = 'retina_unet', patchSize }: RetinaCase): Detector<3> {
  const common = { classes, legacy, patchSize: patchSize as unknown as [number, number, number] };
  switch (model) {
    case 'retina_net':
      return new RetinaNet3D(common);
    case 'retina_unet':
      return new RetinaUNet3D(common);
    case 'mrcnn':
      return new MaskRCNN3D(common);
    case 'ufrcnn':
      return new FasterRCNN3D({ ...common, segmenter: {} });
    case 'detection_unet':
      return new DetectionUNet3D(common);
  }
}

/** A detector as its toy experiment configures it: fewer anchors and proposals enter the losses. */
export function planarDetector({ model = 'retina_unet', patchSize }: RetinaCase): Detector<2> {
  const common = { classes, legacy, patchSize: patchSize as unknown as [number, number] };
  const anchors = (poolSize: number) => hardNegatives({ anchorsPerImage: 2, poolSize, legacy });
  const boxHead = { chunkSize: 800, sampler: hardNegatives({ anchorsPerImage: 2, poolSize: 10, meanOver: 'batch' }) };
  switch (model) {
    case 'retina_net':
      return new RetinaNet2D({ ...common, sampler: anchors(20) });
    case 'retina_unet':
      return new RetinaUNet2D({ ...common, sampler: anchors(20) });
    case 'mrcnn':
      return new MaskRCNN2D({ ...common, boxHead, sampler: anchors(10) });
    case 'ufrcnn':
      return new FasterRCNN2D({ ...common, boxHead, sampler: anchors(10), segmenter: {} });
    case 'detection_unet':
      return new DetectionUNet2D({ ...common, maxPerClass: 3 });
  }
}
