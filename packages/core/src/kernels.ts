/**
 * Names and attributes of the tensor kernels that MDT adds to TensorFlow.js: the contract between the packages that call
 * them (`backbone`, `detectors`, `toolkit`) and the engine that has them natively (`tfjs-torch`). Where a backend has no
 * such kernel, the caller composes the op from plain TensorFlow.js ops.
 *
 * All tensors are float32 to TensorFlow.js and channels last: `[batch, ...spatial, channels]` with 2 or 3 spatial axes; every per-axis
 * attribute has one number per spatial axis.
 */
export type Activation = 'linear' | 'relu' | 'leakyRelu';

/** Slope of `leakyRelu` for negative values, everywhere. */
export const leakySlope = 0.01;

// `type`, not `interface`: attributes must be assignable to TensorFlow.js's NamedAttrMap.
export type ConvAttrs = {
  strides: number[];
  /** Zeros on both sides of each axis. */
  pads: number[];
  activation: Activation;
};

/** `{ x, filter [...k, in, out], bias? [out] } → y`: convolution, bias and activation. Output floor((n + 2p − k) / s) + 1. */
export const ConvAct = 'MdtConvAct';
/** `{ dy, y?, filter } → dx`; `y` unless the activation is linear. */
export const ConvActInputGrad = 'MdtConvActInputGrad';
export type ConvInputGradAttrs = ConvAttrs & { inputShape: number[] };
/** `{ dy, y?, x } → [dFilter, dBias]`. */
export const ConvActFilterGrad = 'MdtConvActFilterGrad';
export type ConvFilterGradAttrs = ConvAttrs & { filterShape: number[] };

/** `{ a, b } → activation(a + b)`, equal shapes. */
export const AddAct = 'MdtAddAct';
export type AddActAttrs = {
  activation: Activation;
  /** The caller reads `a` no more: the engine may write the result into its memory. Default false. */
  givesUp?: boolean;
};
/** `{ dy, y } → dy` masked by the activation whose output is `y`. */
export const ActGrad = 'MdtActGrad';
export type ActAttrs = { activation: Activation };

export type PoolAttrs = { window: number[]; strides: number[]; pads: number[] };
/** `{ x } → y`: maximum over windows, borders padded with −∞. */
export const MaxPoolNd = 'MdtMaxPool';
/** `{ dy, x } → dx`: the gradient goes to the first maximum of each window. */
export const MaxPoolNdGrad = 'MdtMaxPoolGrad';

/**
 * Where the cells of a resized image lie. `half-pixel`: cells are areas, and the image's borders stay where they are; `corners`:
 * cells are points, and those at the corners stay; `asymmetric`: cells are areas placed by their first corner.
 */
export type Alignment = 'half-pixel' | 'corners' | 'asymmetric';

export type ResizeAttrs = {
  /** Cells of the result, per spatial axis. */
  size: number[];
  /** By how much an axis is enlarged, where its cells are placed by a given factor; 0: by the ratio of the sizes. */
  factors: number[];
  mode: 'nearest' | 'linear';
  alignment: Alignment;
};
/** `{ x } → y`: what lies outside is the border's value. */
export const Resize = 'MdtResize';
/** `{ dy } → dx`. */
export const ResizeGrad = 'MdtResizeGrad';
export type ResizeGradAttrs = ResizeAttrs & { inputSize: number[] };

export type GroupNormAttrs = {
  /** Groups of neighbouring channels; must divide their number. */
  groups: number;
  epsilon: number;
};
/** `{ x, scale? [c], offset? [c] } → y`: each group of channels of each image to mean 0 and variance 1 (biased). */
export const GroupNorm = 'MdtGroupNorm';
/** `{ dy, x, scale? } → [dx, dScale, dOffset]`. */
export const GroupNormGrad = 'MdtGroupNormGrad';
/** `{ x } → [mean [c], variance [c]]` of each channel over everything else; biased. */
export const ChannelMoments = 'MdtChannelMoments';

export type AdamAttrs = {
  learningRate: number;
  beta1: number;
  beta2: number;
  epsilon: number;
  weightDecay: number;
  /** 1 at the first step. */
  step: number;
};
/**
 * `{ value, grad, m, v } → [value, m, v]`: one Adam step (Kingma and Ba 2015) with bias correction; decoupled weight decay. Takes value,
 * m and v over: the engine may write the results into their memory, so the caller reads them no more.
 */
export const AdamStep = 'MdtAdamStep';

/**
 * No kernel, but the name of the scope in which a gradient of its own is given to a loss and tensors: the loss's to the first input, zeros to
 * the others, which so have a gradient even where the loss does not depend on them. An engine may give those zeros last and only to
 * whom nothing else gave a gradient.
 */
export const Reach = 'MdtReach';

export type RoiAlignAttrs = {
  /** Bins per axis of the result. */
  pool: number[];
  /** Cells per unit of the boxes, one number per axis and map, map after map. */
  scales: number[];
  /** One sample in the middle of each bin with replicated borders, as the original toolkit; else the mean of several. */
  single: boolean;
  /** Samples per axis and bin of the mean; 0: as many as a bin has cells, rounded up. */
  ratio: number;
  /** Shape of each map, one after the other. */
  shapes: number[];
};
/** Name of the kernel's input that holds map `i`. */
export const roiMap = (i: number): string => `map${i}`;
/** `{ map0, map1, …, boxes [n, 2 · dim], images int32 [n], levels int32 [n] } → [n, ...pool, channels]`: see `@mdt/native-ops`. */
export const RoiAlign = 'MdtRoiAlign';
/** `{ dy, boxes, images, levels } → [dMap0, dMap1, …]`. */
export const RoiAlignGrad = 'MdtRoiAlignGrad';
