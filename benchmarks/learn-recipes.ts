import { type Backbone, fpn, plainEncoder, resNetFpn } from '@mdt/backbone';
import type { Dim } from '@mdt/core';
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
import { type DetectorKind, generateToy, type ToyTask } from '@mdt/toolkit';

/** What a detector is made of and how it is trained on a toy task. */
export interface Recipe {
  detector: Detector;
  batchSize: number;
  learningRate: number;
  /** Steps of a whole run. */
  steps: number;
  /** Steps between validations. */
  every: number;
}

export const dimOf = (kind: DetectorKind): Dim => (kind.endsWith('3D') ? 3 : 2);

/** Voxels per axis and millimetres per voxel; objects have the original's radius of 20 mm, 10 slices in volumes. */
const scenes = { 2: { size: [128, 128], spacing: [1, 1] }, 3: { size: [32, 64, 64], spacing: [2, 1, 1] } } as const;

/** Writes a toy data set: the original's objects in images of 128×128, or in volumes of 32×64×64 that show little else. */
export async function writeToy(folder: string, task: ToyTask, dim: Dim): Promise<void> {
  const count = { train: dim === 2 ? 1000 : 300, validation: dim === 2 ? 100 : 60, test: 0 };
  const [size, spacing] = [[...scenes[dim].size], [...scenes[dim].spacing]] as never[];
  await generateToy<Dim>(
    folder,
    { task, dim, size: size!, spacing: spacing!, count, seed: 0, negatives: 0 },
    { overwrite: true },
  );
}

const constructors = {
  ...{ RetinaNet2D, RetinaNet3D, RetinaUNet2D, RetinaUNet3D, MaskRCNN2D, MaskRCNN3D, FasterRCNN2D, FasterRCNN3D },
  ...{ DetectionUNet2D, DetectionUNet3D },
} as unknown as Record<DetectorKind, new (options: object) => Detector>;

/**
 * Small networks whose anchors fit the objects. Both stages learn from more anchors per image than the original's six, since an
 * image shows one object only.
 */
export function recipeOf(kind: DetectorKind, classes: readonly string[]): Recipe {
  const dim = dimOf(kind);
  const plane = dim === 2;
  const patchSize = [...scenes[dim].size];
  const segments = kind.includes('UNet');
  const training = { batchSize: plane ? 8 : 4, learningRate: 1e-3, steps: plane ? 600 : 800, every: 100 };
  const make = (options: object) => new constructors[kind]({ classes: [...classes], patchSize, ...options });
  if (kind === 'DetectionUNet2D' || kind === 'DetectionUNet3D') {
    return { detector: make({ backbone: plain(dim, segments, ['P0']) }), ...training, steps: 300 };
  }
  const anchored = {
    backbone: plain(dim, segments),
    headFilters: plane ? 64 : 32,
    anchors: { sizes: { P2: plane ? [32, 32] : [16, 32, 32] }, aspectRatios: [0.75, 1, 4 / 3], octaves: 2 },
    sampler: hardNegatives({ anchorsPerImage: 32, poolSize: 20 }),
    nms: { iouThreshold: 0.1 },
  };
  if (kind.startsWith('RetinaUNet')) {
    // In 2D as the original's run that it is compared with: 16 start filters, instance norm, batch 8, Adam at 5e-4.
    const backbone = resNetFpn<2>({ dim: 2, startFilters: 16, norm: 'instance', strideOne: true });
    return {
      detector: make({ ...anchored, segmentPerClass: true, ...(plane && { backbone }) }),
      ...training,
      ...{ learningRate: 5e-4, steps: plane ? 800 : 400 },
    };
  }
  if (kind.startsWith('RetinaNet')) return { detector: make(anchored), ...training, ...(plane && { steps: 1000 }) };
  const proposals = { training: 50, inference: 50, addTargets: true };
  const boxHead = {
    sampler: hardNegatives({ anchorsPerImage: 16, poolSize: 10, meanOver: 'batch' }),
    filters: plane ? 128 : 64,
  };
  return { detector: make({ ...anchored, proposals, boxHead }), ...training };
}

/** A plain encoder of four stages, at strides 1 to 8 where the detector segments and 2 to 16 where not, with a pyramid. */
function plain(dim: Dim, segments: boolean, levels?: string[]): Backbone<Dim> {
  const plane = dim === 2;
  const inPlane = (plane ? 2 : [1, 2, 2]) as never; // slices are twice as far apart as voxels in them
  const body = plainEncoder({ dim, startFilters: plane ? 16 : 8, strides: segments ? [1, inPlane, 2, 2] : [inPlane, 2, 2, 2] });
  return fpn(body, { outChannels: plane ? 64 : 32, init: 'kaiming-uniform', ...(levels && { levels }) });
}
