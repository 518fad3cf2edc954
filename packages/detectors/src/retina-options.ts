import { type Backbone, type InitScheme, type NormKind, type ResNetFpnOptions, resNetFpn } from '@mdt/backbone';
import { type Dim, InputError, type kernels, type PerAxis, refuseUnknownKeys } from '@mdt/core';
import type { AnchorOptions } from './anchors.js';
import { type BoxCoder, boxCoder } from './box-coder.js';
import { iouMatcher, type Matcher } from './matcher.js';
import type { NmsOptions } from './postprocess.js';
import { hardNegatives, type Sampler } from './sampler.js';

export interface RetinaNetOptions<D extends Dim = Dim> {
  /** Foreground classes; background is implied. */
  classes: readonly string[];
  /** Voxels per axis of what the network sees at once, `[z, y, x]` or `[y, x]`. */
  patchSize: PerAxis<D>;
  /** Default: a ResNet-50 with a feature pyramid of the original toolkit's widths. */
  backbone?: Backbone<D>;
  /** Of the default backbone: input channels. Default 1. */
  inChannels?: number;
  /** Of the default backbone: width of its first stage. Default 48 in 2D, 18 in 3D. */
  startFilters?: number;
  /** Of the default backbone: channels of the pyramid. Default 4 times `startFilters` in 2D, twice in 3D. */
  outChannels?: number;
  /** Of the default backbone. Default `none`. */
  norm?: NormKind;
  /** Channels of the heads' hidden convolutions. Default 256 in 2D, 64 in 3D. */
  headFilters?: number;
  /** Of heads and default backbone. Default `relu`. */
  activation?: kernels.Activation;
  /** Of heads and default backbone. Default `uniform-fan-in`. */
  init?: InitScheme;
  anchors?: AnchorOptions<D>;
  /** Default `iouMatcher()`. */
  matcher?: Matcher;
  /** Default `hardNegatives()`. */
  sampler?: Sampler;
  /** Default `boxCoder({ dim })`. */
  boxCoder?: BoxCoder;
  nms?: NmsOptions;
  /**
   * Everything as the original toolkit computed it, its slips included, to reproduce its numbers: sets the defaults of matcher,
   * sampler and box coder to their `legacy` form, and post-processing as `PostprocessOptions` says. Default false.
   */
  legacy?: boolean;
}

export const retinaNetKeys = [
  'classes',
  'patchSize',
  'backbone',
  'inChannels',
  'startFilters',
  'outChannels',
  'norm',
  'headFilters',
  'activation',
  'init',
  'anchors',
  'matcher',
  'sampler',
  'boxCoder',
  'nms',
  'legacy',
];

/** The options with every default filled in. */
export interface ResolvedRetinaOptions<D extends Dim> {
  backbone: Backbone<D>;
  headFilters: number;
  activation: kernels.Activation;
  init: InitScheme;
  matcher: Matcher;
  sampler: Sampler;
  boxCoder: BoxCoder;
  nms: Required<NmsOptions>;
  legacy: boolean;
}

/** Checks the options that all one-stage detectors share and fills in what was left out. */
export function resolveRetinaOptions<D extends Dim>(
  kind: string,
  dim: D,
  options: RetinaNetOptions<D>,
  { keys, strideOne }: { keys: readonly string[]; strideOne: boolean },
): ResolvedRetinaOptions<D> {
  refuseUnknownKeys(kind, options, keys);
  const { classes, legacy = false, activation = 'relu', init = 'uniform-fan-in', nms = {} } = options;
  if (!(Array.isArray(classes) && classes.length > 0 && new Set(classes).size === classes.length)) {
    throw new InputError('invalid-option', `${kind}: classes must be a list of different names, got ${JSON.stringify(classes)}`);
  }
  const headFilters = options.headFilters ?? { 2: 256, 3: 64 }[dim];
  if (!(Number.isInteger(headFilters) && headFilters > 0)) {
    throw new InputError('invalid-option', `${kind}: headFilters is ${headFilters}, expected a whole number above 0`);
  }
  const coder = options.boxCoder ?? (legacy ? legacyCoder(dim) : boxCoder({ dim }));
  const backbone = options.backbone ?? defaultBackbone(dim, options, strideOne);
  for (const [part, partDim] of [
    ['boxCoder', coder.dim],
    ['backbone', backbone.dim],
  ] as const) {
    if (partDim !== dim) throw new InputError('invalid-option', `${kind}: ${part} is for ${partDim}D, expected ${dim}D`);
  }
  if (options.backbone) refuseBackboneOptions(kind, options);
  return {
    backbone,
    headFilters,
    activation,
    init,
    matcher: options.matcher ?? iouMatcher({ legacy }),
    sampler: options.sampler ?? hardNegatives({ legacy }),
    boxCoder: coder,
    nms: resolveNms(kind, dim, nms),
    legacy,
  };
}

/** In 2D the original took the first four of (0.1, 0.1, 0.1, 0.2, 0.2, 0.2), and no log size was too large for it. */
const legacyCoder = (dim: Dim): BoxCoder =>
  boxCoder({ dim, ...(dim === 2 ? { std: [0.1, 0.1, 0.1, 0.2] } : {}), maxLogSize: Number.POSITIVE_INFINITY });

const backboneKeys = ['inChannels', 'startFilters', 'outChannels', 'norm'] as const;

function defaultBackbone<D extends Dim>(dim: D, options: RetinaNetOptions<D>, strideOne: boolean): Backbone<D> {
  const { activation, init } = options;
  const given = Object.fromEntries(backboneKeys.flatMap((key) => (options[key] === undefined ? [] : [[key, options[key]]])));
  return resNetFpn({
    dim,
    strideOne,
    ...(activation ? { activation } : {}),
    ...(init ? { init } : {}),
    ...given,
  } as ResNetFpnOptions<D>);
}

function refuseBackboneOptions<D extends Dim>(kind: string, options: RetinaNetOptions<D>): void {
  const extra = backboneKeys.find((key) => options[key] !== undefined && key !== 'inChannels');
  if (extra)
    throw new InputError('invalid-option', `${kind}: '${extra}' describes the default backbone; it has no effect on yours`);
  const channels = options.backbone!.inChannels;
  if (options.inChannels !== undefined && options.inChannels !== channels) {
    throw new InputError('invalid-option', `${kind}: inChannels is ${options.inChannels}, but the backbone takes ${channels}`);
  }
}

function resolveNms(kind: string, dim: Dim, nms: NmsOptions): Required<NmsOptions> {
  refuseUnknownKeys(`${kind}: nms`, nms, ['iouThreshold', 'maxPerImage', 'minScore', 'preNmsTopK']);
  const resolved = {
    iouThreshold: 1e-5,
    maxPerImage: { 2: 10, 3: 30 }[dim],
    minScore: 0.1,
    preNmsTopK: { 2: 10_000, 3: 50_000 }[dim],
    ...nms,
  };
  const shares = [resolved.iouThreshold, resolved.minScore].every((v) => v >= 0 && v <= 1);
  const counts = [resolved.maxPerImage, resolved.preNmsTopK].every((v) => Number.isInteger(v) && v >= 1);
  if (!(shares && counts)) {
    throw new InputError(
      'invalid-option',
      `${kind}: nms expects iouThreshold and minScore from 0 to 1, maxPerImage and preNmsTopK whole numbers from 1 on; ` +
        `got ${JSON.stringify(resolved)}`,
    );
  }
  return resolved;
}
