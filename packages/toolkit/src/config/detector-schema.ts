import { axisNames, type Dim } from '@mdt/core';
import {
  type Check,
  count,
  Derived,
  either,
  field,
  flag,
  list,
  notNegative,
  object,
  oneOf,
  PerDim,
  positive,
  record,
  share,
  text,
} from './checks.js';

/** The detectors that a configuration can name. */
export const detectorKinds = [
  'RetinaNet2D',
  'RetinaNet3D',
  'RetinaUNet2D',
  'RetinaUNet3D',
  'MaskRCNN2D',
  'MaskRCNN3D',
  'FasterRCNN2D',
  'FasterRCNN3D',
  'DetectionUNet2D',
  'DetectionUNet3D',
] as const;
export type DetectorKind = (typeof detectorKinds)[number];

export const dimOf = (kind: DetectorKind): Dim => (kind.endsWith('3D') ? 3 : 2);

const none = new Derived('none');
const perAxis = new PerDim([7, 7], [3, 7, 7]);

/** Voxels per axis; one size or several. */
const anchorSizes = either(list(positive, { min: 2 }), list(list(positive, { min: 2 }), { min: 1 }));

const matcherCheck = object({
  kind: field(oneOf('iou', 'atss'), '`iou` takes the thresholds, `atss` the candidates', 'iou'),
  positive: field(
    share,
    'IoU from which on an anchor belongs to its best object',
    new Derived('0.5; 0.7 in the first of two stages'),
    'anchor_matching_iou',
  ),
  negative: field(share, 'IoU below which an anchor is background; those between are ignored', new PerDim(0.1, 0.01)),
  keepBestPerTarget: field(flag, 'each object also gets the anchor that overlaps it most', true),
  legacy: field(flag, "forced anchors regress as the original's", false),
  candidates: field(count, '`atss`: nearest cells per object and level', 4),
  centerInObject: field(flag, '`atss`: positives must have their centre inside the object', false),
});

const samplerCheck = object({
  kind: field(oneOf('hardNegatives', 'batchHardNegatives', 'allAnchors'), 'how it picks', 'hardNegatives'),
  anchorsPerImage: field(
    count,
    'budget of positives and negatives',
    new Derived('6; 32 of `batchHardNegatives`, over the batch'),
    'rpn_train_anchors_per_image, train_rois_per_image',
  ),
  positiveFraction: field(
    share,
    'share of the budget that positives may take',
    new Derived('0.5; 0.33 of `batchHardNegatives`'),
    'roi_positive_ratio',
  ),
  negativesPerPositive: field(notNegative, 'negatives per positive', 1),
  minNegatives: field(count, 'negatives of an image with few or no positives', 1),
  poolSize: field(
    count,
    'negatives are drawn from the hardest this-many-times the number wanted',
    new Derived('20; 10 in two-stage detectors'),
    'shem_poolsize',
  ),
  meanOver: field(oneOf('image', 'batch'), 'what a loss is averaged over', new Derived('image; batch in box heads')),
  legacy: field(flag, "surplus positives go at random, as the original's", false),
});

const classLossCheck = object({
  kind: field(oneOf('softmax', 'binary', 'focal'), 'what wrong classes cost', 'softmax'),
  gamma: field(notNegative, '`focal`: how much rows that are right already count less', 2),
  alpha: field(share, '`focal`: weight of the class', 0.25),
  prior: field(share, '`binary`, `focal`: foreground share at the start', 0.01),
});

const segmentationLossCheck = object({
  dice: field(notNegative, 'weight of soft Dice', new Derived('0.5; 1 in a Detection U-Net')),
  crossEntropy: field(notNegative, 'weight of cross entropy', new Derived('0.5; 1 in a Detection U-Net')),
  classWeights: field(
    list(notNegative, { min: 2 }),
    'weight of each class in the cross entropy, background first',
    new Derived('all 1'),
    'wce_weights',
  ),
  falsePositiveWeight: field(notNegative, "weight of predictions in Dice's denominator", 1, 'fp_dice_weight'),
  focalGamma: field(notNegative, 'voxels that are right already count less; 0 is plain cross entropy', 0),
});

const boxLoss = oneOf('smoothL1', 'giou', 'diou');

export const detectorCheck = object(
  {
    kind: field(oneOf(...detectorKinds), 'the network', undefined, 'model, dim'),
    classes: field(list(text, { min: 1 }), 'foreground classes', new Derived("the data set's"), 'class_dict, head_classes'),
    patchSize: field(
      list(count, { min: 2 }),
      `voxels per axis that go through the network: ${axisNames[2].join(', ')} or ${axisNames[3].join(', ')}`,
      undefined,
      'patch_size_2D, patch_size_3D',
    ),
    inChannels: field(count, 'channels of the images', new Derived("the data set's"), 'channels, n_channels'),
    backbone: field(
      object({
        kind: field(oneOf('resNet', 'plain'), "`plain`: two convolutions a stage, as nnU-Net's encoder", 'resNet'),
        depth: field(oneOf(50, 101), 'layers of the ResNet', 50, 'res_architecture'),
        startFilters: field(
          count,
          'width of the first stage',
          new Derived('48 in 2D, 18 in 3D; of `plain` 48 and 32'),
          'start_filts',
        ),
        strides: field(
          list(either(count, list(count, { min: 2 })), { min: 2 }),
          'by how much each stage reduces its input: one number, or one per axis',
          new Derived('2, but 1 along z in the first stages of a 3D ResNet; the first of `plain` 1'),
        ),
        outChannels: field(
          count,
          'channels of the pyramid',
          new Derived('4 times `startFilters` in 2D, twice in 3D'),
          'end_filts',
        ),
        norm: field(
          oneOf('none', 'instance', 'instance-affine', 'group', 'batch'),
          'normalisation of feature maps',
          new Derived('none; of `plain` instance-affine'),
          'norm',
        ),
        strideOne: field(flag, 'a full-resolution stage', new Derived('as the detector needs it'), 'operate_stride1'),
        sixthPooling: field(flag, 'adds stage C6', false, 'sixth_pooling'),
      }),
      'encoder with a feature pyramid',
    ),
    anchors: field(
      object({
        sizes: field(
          record(anchorSizes),
          "voxels per axis of each level's smallest anchor, by level; the levels named here have anchors",
          new Derived('every level coarser than the image, with twice its stride'),
          'rpn_anchor_scales',
        ),
        aspectRatios: field(list(positive, { min: 1 }), 'width over height', [0.5, 1, 2], 'rpn_anchor_ratios'),
        octaves: field(count, 'each size also at 2^(1/n), 2^(2/n) … times itself', new Derived('3; 1 in two-stage detectors')),
        centered: field(flag, "anchors in the middle of their cell, not at its first corner as the original's", false),
      }),
      'default boxes',
    ),
    matcher: field(matcherCheck, 'which anchors belong to which object'),
    sampler: field(samplerCheck, 'which anchors enter the loss'),
    classLoss: field(classLossCheck, 'what wrong classes cost'),
    boxLoss: field(boxLoss, 'what wrong boxes cost', 'smoothL1'),
    smallestObject: field(
      list(positive, { min: 2 }),
      'voxels per axis of the smallest object that has to be found: refused where no anchor can match it',
      none,
    ),
    proposals: field(
      object({
        preNmsTopK: field(count, 'anchors per image that enter suppression', new PerDim(3000, 6000), 'pre_nms_limit'),
        iouThreshold: field(share, 'a proposal goes when a better one overlaps it by more', 0.7, 'rpn_nms_threshold'),
        training: field(count, 'proposals per image in training', new PerDim(500, 75), 'post_nms_rois_training'),
        inference: field(count, 'proposals per image in inference', 500, 'post_nms_rois_inference'),
        addTargets: field(flag, 'the objects themselves are among the proposals of training', false),
      }),
      'first stage of two-stage detectors',
    ),
    boxHead: field(
      object({
        poolSize: field(list(count, { min: 2 }), 'bins per axis that a proposal is pooled to', perAxis, 'pool_size'),
        filters: field(count, 'channels of the hidden layers', new Derived('4 times those of the pyramid')),
        matcher: field(
          object({
            positive: field(share, 'IoU from which on a proposal belongs to its best object', new PerDim(0.5, 0.3)),
            negative: field(share, 'IoU below which it is background', new PerDim(0.1, 0.01)),
          }),
          'which proposals belong to which object',
        ),
        sampler: field(samplerCheck, 'which proposals enter the loss'),
        classLoss: field(classLossCheck, 'what wrong classes cost'),
        boxLoss: field(boxLoss, 'what wrong boxes cost', 'smoothL1'),
        chunkSize: field(count, 'proposals of the batch that are pooled at once', new PerDim(2500, 600), 'roi_chunk_size'),
        sampling: field(oneOf('average', 'single'), 'samples of RoIAlign per bin', new Derived('average; single with `legacy`')),
      }),
      'second stage of two-stage detectors',
    ),
    maskHead: field(
      object({
        poolSize: field(
          list(count, { min: 2 }),
          'bins per axis; masks are twice as fine',
          new PerDim([14, 14], [5, 14, 14]),
          'mask_pool_size',
        ),
        pseudoMasks: field(
          oneOf('ellipsoid', 'box', 'none'),
          'what stands for the masks of boxes without; `none` learns boxes alone',
          new Derived('boxes without masks are refused'),
          'frcnn_mode',
        ),
      }),
      'of Mask R-CNN',
    ),
    segmenter: field(
      object({
        perClass: field(flag, 'every class on its own', true, 'class_specific_seg_flag'),
        loss: field(segmentationLossCheck, 'half Dice, half cross entropy'),
      }),
      'of Faster R-CNN: it segments as well',
    ),
    segmentPerClass: field(flag, 'of Retina U-Net: every class on its own', false, 'class_specific_seg_flag'),
    segmentationLoss: field(segmentationLossCheck, 'of Retina U-Net and Detection U-Net', undefined, 'seg_loss_mode'),
    maxPerClass: field(count, 'of Detection U-Net: objects per class and image', new PerDim(10, 30), 'n_roi_candidates'),
    minScore: field(share, "of Detection U-Net: a detection's score is above this", 0.1, 'detection_min_confidence'),
    score: field(
      oneOf('max', 'median'),
      "of Detection U-Net: how a component's score comes from its voxels",
      'max',
      'aggregation_operation',
    ),
    nms: field(
      object({
        iouThreshold: field(
          share,
          'a box goes when a better one of its class overlaps it by more',
          1e-5,
          'detection_nms_threshold',
        ),
        maxPerImage: field(count, 'detections per patch', new PerDim(10, 30), 'model_max_instances_per_batch_element'),
        minScore: field(share, 'lowest score of a detection', 0.1, 'model_min_confidence'),
        preNmsTopK: field(count, 'candidates per patch that enter suppression', new PerDim(10_000, 50_000), 'pre_nms_limit'),
      }),
      'suppression within a patch',
    ),
    headFilters: field(
      count,
      "channels of the heads' hidden convolutions",
      new Derived('256 in 2D, 64 in 3D; 512 and 128 in two-stage detectors'),
      'n_rpn_features',
    ),
    activation: field(oneOf('relu', 'leakyRelu'), 'of heads and backbone', 'relu', 'relu'),
    init: field(
      oneOf('uniform-fan-in', 'xavier-uniform', 'kaiming-uniform', 'xavier-normal', 'kaiming-normal'),
      'how weights start',
      'uniform-fan-in',
      'weight_init',
    ),
    legacy: field(flag, 'everything as the original computed it, its slips included', false),
  },
  'kind',
  'patchSize',
);

type Made<C> = C extends Check<infer T> ? T : never;

/** A detector as JSON. What is left out has the detector's own default. */
export type DetectorConfig = Made<typeof detectorCheck>;
