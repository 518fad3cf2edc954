import { resNetFpn } from '@mdt/backbone';
import { type Dim, fromMdtBoxes, type GroundTruth, type PerAxis, product } from '@mdt/core';
import {
  boxCoder,
  DetectionUNet2D,
  DetectionUNet3D,
  FasterRCNN2D,
  FasterRCNN3D,
  hardNegatives,
  iouMatcher,
  MaskRCNN2D,
  MaskRCNN3D,
  type RetinaNet,
  RetinaNet2D,
  RetinaNet3D,
  RetinaUNet2D,
  RetinaUNet3D,
  segmentationLoss,
} from '@mdt/detectors';
import * as tf from '@tensorflow/tfjs-core';
import { deltaPlaces, toArrayOrder, toChannelsLast } from './original-layout.js';
import type { NetworkRecording, RecordedConfig } from './recording.js';

const constructors = {
  retina_net: { 2: RetinaNet2D, 3: RetinaNet3D },
  retina_unet: { 2: RetinaUNet2D, 3: RetinaUNet3D },
} as const;

/** Our name of the norm of a configuration. */
const normOf = ({ norm }: RecordedConfig) => (norm === 'batch_norm' ? 'batch' : norm === 'instance_norm' ? 'instance' : 'none');

/** What every detector is told: classes, patch, backbone. */
function commonOptions(config: RecordedConfig, inChannels: number, strideOne: boolean) {
  const { dim } = config;
  const activation = config.relu === 'relu' ? 'relu' : 'leakyRelu';
  return {
    classes: Array.from({ length: config.head_classes - 1 }, (_, i) => `class ${i + 1}`),
    patchSize: toArrayOrder(config.patch_size),
    backbone: resNetFpn({
      dim: dim as Dim,
      depth: config.res_architecture === 'resnet101' ? 101 : 50,
      inChannels,
      startFilters: config.start_filts,
      outChannels: config.end_filts,
      strideOne,
      sixthPooling: config.sixth_pooling,
      norm: normOf(config),
      activation,
    }),
    activation,
    legacy: true,
  } as const;
}

/** Our coder with the original's deviations, `(y x z, h w d)`. */
function coderOf(dim: Dim, deviations: readonly number[]) {
  const std = new Array<number>(2 * dim);
  for (const [theirs, ours] of deltaPlaces(dim).entries()) std[ours] = deviations[theirs]!;
  return boxCoder({ dim, std, maxLogSize: Number.POSITIVE_INFINITY });
}

/** The detector that a recorded configuration describes, in its legacy form. */
export function retinaDetector(config: RecordedConfig, inChannels: number): RetinaNet<2> | RetinaNet<3> {
  const { dim } = config;
  const segments = config.model === 'retina_unet';
  const options = {
    ...commonOptions(config, inChannels, segments),
    headFilters: config.n_rpn_features,
    anchors: { sizes: anchorSizes(config), aspectRatios: config.rpn_anchor_ratios, octaves: 1 },
    matcher: iouMatcher({ positive: config.anchor_matching_iou, legacy: true }),
    sampler: hardNegatives({ anchorsPerImage: config.rpn_train_anchors_per_image, poolSize: 20, legacy: true }),
    boxCoder: coderOf(dim, config.rpn_bbox_std_dev),
    nms: {
      iouThreshold: config.detection_nms_threshold,
      maxPerImage: config.model_max_instances_per_batch_element,
      minScore: config.model_min_confidence,
      preNmsTopK: config.pre_nms_limit,
    },
    ...(segments ? { segmentPerClass: config.num_seg_classes > 2 } : {}),
  };
  const model = config.model as keyof typeof constructors;
  return new constructors[model][dim](options as never);
}

/** The two-stage detector of a recorded configuration: Mask R-CNN, without its mask head in `frcnn_mode`; or `ufrcnn`. */
export function twoStageDetector(config: RecordedConfig, inChannels: number): MaskRCNN2D | FasterRCNN2D {
  const { dim, model } = config;
  const segments = model === 'ufrcnn';
  const options = {
    ...commonOptions(config, inChannels, segments),
    norm: normOf(config),
    headFilters: config.n_rpn_features,
    anchors: { sizes: anchorSizes(config), aspectRatios: config.rpn_anchor_ratios, octaves: 1 },
    matcher: iouMatcher({ positive: config.anchor_matching_iou, legacy: true }),
    sampler: hardNegatives({
      anchorsPerImage: config.rpn_train_anchors_per_image,
      poolSize: config.shem_poolsize,
      legacy: true,
    }),
    boxCoder: coderOf(dim, config.rpn_bbox_std_dev),
    proposals: {
      preNmsTopK: config.pre_nms_limit,
      iouThreshold: config.rpn_nms_threshold,
      training: config.post_nms_rois_training,
    },
    boxHead: {
      poolSize: toArrayOrder(config.pool_size),
      boxCoder: coderOf(dim, config.bbox_std_dev),
      chunkSize: config.roi_chunk_size,
      sampler: hardNegatives({
        anchorsPerImage: config.train_rois_per_image,
        positiveFraction: config.roi_positive_ratio,
        negativesPerPositive: 1 / config.roi_positive_ratio - 1,
        poolSize: config.shem_poolsize,
        meanOver: 'batch',
      }),
    },
    nms: {
      iouThreshold: config.detection_nms_threshold,
      maxPerImage: config.model_max_instances_per_batch_element,
      minScore: config.model_min_confidence,
      preNmsTopK: Number.MAX_SAFE_INTEGER,
    },
    ...(segments ? { segmenter: { perClass: config.num_seg_classes > 2 } } : {}),
    ...(model === 'mrcnn' && !config.frcnn_mode ? { maskHead: { poolSize: toArrayOrder(config.mask_pool_size) } } : {}),
  };
  const hasMasks = model === 'mrcnn' && !config.frcnn_mode;
  const Detector = hasMasks ? { 2: MaskRCNN2D, 3: MaskRCNN3D }[dim] : { 2: FasterRCNN2D, 3: FasterRCNN3D }[dim];
  return new Detector(options as never) as MaskRCNN2D | FasterRCNN2D;
}

/** The Detection U-Net of a recorded configuration. */
export function detectionUNet(config: RecordedConfig, inChannels: number): DetectionUNet2D {
  const mode = config.seg_loss_mode;
  const Detector = { 2: DetectionUNet2D, 3: DetectionUNet3D }[config.dim];
  return new Detector({
    ...commonOptions(config, inChannels, true),
    norm: normOf(config),
    segmentationLoss: segmentationLoss({
      dice: mode === 'wce' ? 0 : 1,
      crossEntropy: mode === 'dice' ? 0 : 1,
      falsePositiveWeight: config.fp_dice_weight ?? 1,
      ...(config.wce_weights ? { classWeights: config.wce_weights } : {}),
    }),
    maxPerClass: config.n_roi_candidates,
    minScore: config.detection_min_confidence,
    score: config.aggregation_operation === 'max' ? 'max' : 'median',
  } as never) as DetectionUNet2D;
}

function anchorSizes({ dim, pyramid_levels, rpn_anchor_scales: { xy, z } }: RecordedConfig): Record<string, number[][]> {
  return Object.fromEntries(
    pyramid_levels.map((level) => [`P${level + 2}`, xy[level]!.map((s, i) => (dim === 3 ? [z[level]![i]!, s, s] : [s, s]))]),
  );
}

/** The recorded batch in our layout: images, targets and label map. The caller disposes of the tensors. */
export function recordedBatch(recording: NetworkRecording) {
  const { dim } = recording.config;
  const data = recording.tensor('input.data');
  const images = toChannelsLast(data.values, data.shape);
  const size = images.shape.slice(1, -1);
  const boxes = Array.from({ length: images.shape[0]! }, (_, b) => recordedObjects(recording, b));
  const labelMap = new Int32Array(images.data.length / images.shape.at(-1)!);
  boxes.forEach((objects, b) => {
    paint(labelMap, b, size, objects);
  });
  return {
    images: tf.tensor(images.data, images.shape, 'float32'),
    targets: boxes as GroundTruth<2>[] & GroundTruth<3>[],
    /** Per image one mask after the other: objects are cuboids. */
    masks: boxes.map((objects) => cuboidMasks(size, objects)),
    segmentation: tf.tensor(labelMap, [images.shape[0]!, ...size], 'int32'),
    patchSize: size as unknown as PerAxis,
    dim,
  };
}

function recordedObjects(recording: NetworkRecording, image: number): GroundTruth {
  const { dim } = recording.config;
  const has = recording.has(`input.bb_target.${image}`);
  const boxes = fromMdtBoxes(has ? recording.tensor(`input.bb_target.${image}`).values : [], dim);
  const labels = recording.has(`input.roi_labels.${image}`) ? recording.tensor(`input.roi_labels.${image}`).values : [];
  return { dim, boxes, labels: Int32Array.from(labels, (v) => v - 1).filter((v) => v >= 0) };
}

function cuboidMasks(size: readonly number[], { dim, boxes, labels }: GroundTruth): Uint8Array {
  const voxels = product(size);
  const masks = new Uint8Array(labels.length * voxels);
  labels.forEach((_, i) => {
    const one = new Int32Array(voxels);
    paint(one, 0, size, { dim, boxes: boxes.slice(i * 2 * dim, (i + 1) * 2 * dim), labels: Int32Array.of(0) });
    masks.set(one, i * voxels);
  });
  return masks;
}

/** Objects are cuboids; later ones cover earlier ones. */
function paint(labelMap: Int32Array, image: number, size: readonly number[], { dim, boxes, labels }: GroundTruth): void {
  const [depth, height, width] = dim === 3 ? (size as [number, number, number]) : [1, size[0]!, size[1]!];
  labels.forEach((label, i) => {
    const at = (k: number) => boxes[i * 2 * dim + k]!;
    const [z1, y1, x1] = dim === 3 ? [at(0), at(1), at(2)] : [0, at(0), at(1)];
    const [z2, y2, x2] = dim === 3 ? [at(3), at(4), at(5)] : [1, at(2), at(3)];
    const clip = (from: number, to: number, n: number) => [Math.max(0, from), Math.min(n, to)] as const;
    const [[za, zb], [ya, yb], [xa, xb]] = [clip(z1, z2, depth), clip(y1, y2, height), clip(x1, x2, width)];
    for (let z = za; z < zb; z++) {
      for (let y = ya; y < yb; y++) {
        const row = ((image * depth + z) * height + y) * width;
        labelMap.fill(label + 1, row + xa, row + xb);
      }
    }
  });
}
