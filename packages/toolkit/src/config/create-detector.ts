import { type Backbone, type BlockStyle, fpn, plainEncoder, type ResNetOptions, resNetFpn } from '@mdt/backbone';
import { type Dim, InputError, type PerAxis } from '@mdt/core';
import {
  allAnchors,
  atssMatcher,
  batchHardNegatives,
  binaryLoss,
  DetectionUNet2D,
  DetectionUNet3D,
  type Detector,
  diouLoss,
  FasterRCNN2D,
  FasterRCNN3D,
  focalLoss,
  giouLoss,
  hardNegatives,
  iouMatcher,
  MaskRCNN2D,
  MaskRCNN3D,
  proposalMatcher,
  RetinaNet2D,
  RetinaNet3D,
  RetinaUNet2D,
  RetinaUNet3D,
  segmentationLoss,
  smoothL1Loss,
  softmaxLoss,
} from '@mdt/detectors';
import { type DetectorConfig, dimOf } from './config.js';

const constructors = {
  RetinaNet2D,
  RetinaNet3D,
  RetinaUNet2D,
  RetinaUNet3D,
  MaskRCNN2D,
  MaskRCNN3D,
  FasterRCNN2D,
  FasterRCNN3D,
  DetectionUNet2D,
  DetectionUNet3D,
};

// A part's options are checked by the part itself, which refuses what is another kind's.
const matchers = { iou: iouMatcher, atss: atssMatcher };
const samplers = { hardNegatives, batchHardNegatives, allAnchors };
const classLosses = { softmax: softmaxLoss, binary: binaryLoss, focal: focalLoss };
const boxLosses = { smoothL1: smoothL1Loss, giou: giouLoss, diou: diouLoss };

/**
 * The detector that a configuration describes. Its variables are made at first use, so this is also the check that its parts
 * fit together.
 *
 * @param options `dim`: refuses a detector of another dimension
 * @throws InputError such as `invalid-patch-size` when the strides do not divide the patch, or `unknown-option` for what this
 * kind of detector does not know
 */
export function createDetector<D extends Dim = Dim>(config: DetectorConfig, { dim: expected }: { dim?: D } = {}): Detector<D> {
  const { kind, classes, inChannels = 1, backbone = {}, boxHead, segmenter, segmentationLoss: loss, ...given } = config;
  if (!classes) throw new InputError('invalid-option', 'detector.classes: expected a list of class names, got none');
  const dim = dimOf(kind);
  if (expected !== undefined && dim !== expected) {
    throw new InputError('invalid-option', `detector.kind: ${kind} has ${dim} axes, expected ${expected}`);
  }
  const { matcher, sampler, classLoss, boxLoss, ...rest } = given;
  const style = { ...(rest.activation && { activation: rest.activation }), ...(rest.init && { init: rest.init }) };
  const isDetectionUNet = kind.startsWith('DetectionUNet');
  // What segments works at full resolution, so it needs level P0; a Detection U-Net needs nothing else.
  const strideOne = isDetectionUNet || kind.startsWith('RetinaUNet') || segmenter !== undefined;
  const levels = isDetectionUNet ? ['P0'] : undefined;
  const { matcher: secondMatcher, ...second } = boxHead ?? {};
  const options = {
    ...rest,
    classes,
    patchSize: config.patchSize as unknown as PerAxis<2> & PerAxis<3>,
    backbone: createBackbone(backbone, { dim, inChannels, strideOne, levels, style }),
    ...(kind.includes('RCNN') && backbone.norm && { norm: backbone.norm }),
    ...(matcher && { matcher: partOf(matchers, matcher, 'iou') }),
    ...trainingParts({ sampler, classLoss, boxLoss }),
    ...(boxHead && {
      boxHead: { ...second, ...(secondMatcher && { matcher: proposalMatcher(secondMatcher) }), ...trainingParts(second) },
    }),
    ...(segmenter && { segmenter: { ...segmenter, ...(segmenter.loss && { loss: segmentationLoss(segmenter.loss) }) } }),
    ...(loss && { segmentationLoss: segmentationLoss(loss) }),
  };
  return new constructors[kind](options as never) as Detector as Detector<D>;
}

interface Surroundings {
  dim: Dim;
  inChannels: number;
  strideOne: boolean;
  levels: string[] | undefined;
  style: Pick<BlockStyle, 'activation' | 'init'>;
}

/** A plain encoder has the strides that it is given; whether its finest level serves the detector, the detector checks. */
function createBackbone(
  { kind = 'resNet', outChannels, ...body }: NonNullable<DetectorConfig['backbone']>,
  { dim, inChannels, strideOne, levels: given, style }: Surroundings,
): Backbone<Dim> {
  const levels = given && { levels: given };
  const common = { dim, inChannels, ...style, ...body } as never;
  if (kind === 'plain') {
    const encoder = plainEncoder<Dim>(common);
    return fpn(encoder, {
      outChannels: outChannels ?? encoder.features[0]!.channels * (dim === 2 ? 4 : 2),
      init: style.init ?? 'kaiming-uniform',
      ...levels,
    });
  }
  return resNetFpn<Dim>({ strideOne, ...levels, ...(outChannels && { outChannels }), ...(common as ResNetOptions) });
}

type Undefined<T> = { [K in keyof T]: T[K] | undefined };

function trainingParts({ sampler, classLoss, boxLoss }: Undefined<Pick<DetectorConfig, 'sampler' | 'classLoss' | 'boxLoss'>>) {
  return {
    ...(sampler && { sampler: partOf(samplers, sampler, 'hardNegatives') }),
    ...(classLoss && { classLoss: partOf(classLosses, classLoss, 'softmax') }),
    ...(boxLoss && { boxLoss: boxLosses[boxLoss]() }),
  };
}

/** The part that `kind` names, made with the other options. */
function partOf<T>(
  parts: Readonly<Record<string, (options: never) => T>>,
  { kind, ...options }: { kind?: string | undefined },
  standard: string,
): T {
  return parts[kind ?? standard]!(options as never);
}
