export {
  type Backbone,
  buildWeights,
  checkBackbone,
  checkImageSize,
  type FeatureSpec,
  type Mode,
  type Projection,
  totalStride,
} from './backbone.js';
export {
  type Block,
  type BlockStyle,
  type ConvBlockOptions,
  chain,
  convBlock,
  type ResidualBlockOptions,
  residualBlock,
} from './blocks.js';
export { type DenseBlockOptions, denseBlock, type UpConvBlockOptions, upConvBlock } from './dense-block.js';
export { type PlainEncoderOptions, plainEncoder } from './encoder.js';
export { type FpnOptions, fpn } from './fpn.js';
export { registerGradients } from './gradients/tfjs-gradients.js';
export { constant, convInit, type Initializer, type InitScheme } from './init.js';
export { type Norm, type NormKind, norm } from './norm.js';
export { activate } from './ops/activation.js';
export { add } from './ops/add.js';
export { type BatchNormOptions, batchNorm, type ChannelMoments, channelMoments } from './ops/batch-norm.js';
export { booleanMask } from './ops/boolean-mask.js';
export { type ConvOptions, conv } from './ops/conv.js';
export { type GroupNormOptions, groupNorm, type InstanceNormOptions, instanceNorm } from './ops/group-norm.js';
export { type MaxPoolOptions, maxPool } from './ops/max-pool.js';
export { type NativeOp, nativeOp, type OpGradient, runMany, runOne, shared } from './ops/native.js';
export { type ResizeOptions, resize } from './ops/resize.js';
export { type UpsampleOptions, upsample } from './ops/upsample.js';
export { defaultStartFilters, type ResNetOptions, resNet } from './resnet.js';
export { type ResNetFpnOptions, resNetFpn } from './resnet-fpn.js';
export { Weight } from './weight.js';
