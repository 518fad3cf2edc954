import { type Backbone, checkImageSize, type InitScheme, type NormKind, type ResNetFpnOptions, resNetFpn } from '@mdt/backbone';
import { type Dim, InputError, type kernels, type PerAxis, refuseUnknownKeys } from '@mdt/core';

/** What every detector can be told. */
export interface CommonOptions<D extends Dim = Dim, C extends string = string> {
  /** Foreground classes; background is implied. */
  classes: readonly C[];
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
  /** Of the default backbone, and of the heads of two-stage detectors. Default `none`. */
  norm?: NormKind;
  /** Of heads and default backbone. Default `relu`. */
  activation?: kernels.Activation;
  /** Of heads and default backbone. Default `uniform-fan-in`. */
  init?: InitScheme;
  /**
   * Everything as the original toolkit computed it, its slips included, to reproduce its numbers: sets the defaults of the parts
   * to their `legacy` form, and post-processing as `PostprocessOptions` says. Default false.
   */
  legacy?: boolean;
}

export const commonKeys = [
  'classes',
  'patchSize',
  'backbone',
  'inChannels',
  'startFilters',
  'outChannels',
  'norm',
  'activation',
  'init',
  'legacy',
];

/** The common options with every default filled in. */
export interface ResolvedCommon<D extends Dim, C extends string> {
  kind: string;
  dim: D;
  classes: readonly C[];
  patchSize: PerAxis<D>;
  backbone: Backbone<D>;
  norm: NormKind;
  activation: kernels.Activation;
  init: InitScheme;
  legacy: boolean;
}

/** How a detector differs from the others, for `resolveCommon`. */
export interface DetectorVariant {
  /** As in `RetinaUNet2D`. */
  kind: string;
  /** Every option that it knows. */
  keys: readonly string[];
  /** Its backbone needs a level at stride 1. */
  strideOne?: boolean;
  /** Its heads take the norm as well. */
  normInHeads?: boolean;
  /** Levels that it uses of the default backbone. Default all. */
  levels?: readonly string[];
}

/**
 * Checks the options that all detectors share and fills in what was left out.
 *
 * @throws InputError `unknown-option`, `invalid-option`, `invalid-patch-size`
 */
export function resolveCommon<D extends Dim, C extends string>(
  dim: D,
  options: CommonOptions<D, C>,
  { kind, keys, strideOne = false, normInHeads = false, levels }: DetectorVariant,
): ResolvedCommon<D, C> {
  refuseUnknownKeys(kind, options, keys);
  const { classes, patchSize, norm = 'none', activation = 'relu', init = 'uniform-fan-in', legacy = false } = options;
  if (!(Array.isArray(classes) && classes.length > 0 && new Set(classes).size === classes.length)) {
    throw new InputError('invalid-option', `${kind}: classes must be a list of different names, got ${JSON.stringify(classes)}`);
  }
  const backbone = options.backbone ?? defaultBackbone(dim, options, strideOne, levels);
  if (backbone.dim !== dim) {
    throw new InputError('invalid-option', `${kind}: backbone is for ${backbone.dim}D, expected ${dim}D`);
  }
  if (options.backbone) refuseBackboneOptions(kind, options, normInHeads);
  checkImageSize(backbone, patchSize ?? [], `${kind}: patchSize`);
  const finest = backbone.features[0]!;
  if (strideOne && finest.stride.some((s) => s !== 1)) {
    throw new InputError(
      'invalid-option',
      `${kind}: the backbone's finest level ${finest.name} is coarser than the image; set strideOne`,
    );
  }
  return { kind, dim, classes: [...classes], patchSize, backbone, norm, activation, init, legacy };
}

const backboneKeys = ['inChannels', 'startFilters', 'outChannels', 'norm'] as const;

function defaultBackbone<D extends Dim>(
  dim: D,
  options: CommonOptions<D>,
  strideOne: boolean,
  levels: readonly string[] | undefined,
): Backbone<D> {
  const { activation, init } = options;
  const given = Object.fromEntries(backboneKeys.flatMap((key) => (options[key] === undefined ? [] : [[key, options[key]]])));
  return resNetFpn({
    dim,
    strideOne,
    ...(levels ? { levels } : {}),
    ...(activation ? { activation } : {}),
    ...(init ? { init } : {}),
    ...given,
  } as ResNetFpnOptions<D>);
}

function refuseBackboneOptions<D extends Dim>(kind: string, options: CommonOptions<D>, normInHead: boolean): void {
  const allowed = ['inChannels', ...(normInHead ? ['norm'] : [])];
  const extra = backboneKeys.find((key) => options[key] !== undefined && !allowed.includes(key));
  if (extra) {
    throw new InputError('invalid-option', `${kind}: '${extra}' describes the default backbone; it has no effect on yours`);
  }
  const channels = options.backbone!.inChannels;
  if (options.inChannels !== undefined && options.inChannels !== channels) {
    throw new InputError('invalid-option', `${kind}: inChannels is ${options.inChannels}, but the backbone takes ${channels}`);
  }
}

/** Throws unless every value is a whole number above 0. */
export function checkCounts(kind: string, counts: Record<string, number>): void {
  for (const [name, value] of Object.entries(counts)) {
    if (Number.isInteger(value) && value > 0) continue;
    throw new InputError('invalid-option', `${kind}: ${name} is ${String(value)}, expected a whole number above 0`);
  }
}
