import { resNetFpn } from '@mdt/backbone';
import { type Dim, InputError, type PerAxis } from '@mdt/core';
import { type Detector, hardNegatives, iouMatcher, RetinaNet2D, RetinaNet3D, RetinaUNet2D, RetinaUNet3D } from '@mdt/detectors';
import { type DetectorConfig, dimOf } from './config.js';

const constructors = { RetinaNet2D, RetinaNet3D, RetinaUNet2D, RetinaUNet3D };

/**
 * The detector that a configuration describes. Its variables are made at first use, so this is also the check that its parts
 * fit together.
 *
 * @param options `dim`: refuses a detector of another dimension
 * @throws InputError such as `invalid-patch-size` when the strides do not divide the patch
 */
export function createDetector<D extends Dim = Dim>(config: DetectorConfig, { dim: expected }: { dim?: D } = {}): Detector<D> {
  const { kind, classes, inChannels = 1, backbone = {}, matcher, sampler, ...rest } = config;
  if (!classes) throw new InputError('invalid-option', 'detector.classes: expected a list of class names, got none');
  const dim = dimOf(kind);
  if (expected !== undefined && dim !== expected) {
    throw new InputError('invalid-option', `detector.kind: ${kind} has ${dim} axes, expected ${expected}`);
  }
  const style = { ...(rest.activation && { activation: rest.activation }), ...(rest.init && { init: rest.init }) };
  const options = {
    ...rest,
    classes,
    patchSize: config.patchSize as unknown as PerAxis<2> & PerAxis<3>,
    // The segmenter works on the full resolution, so a Retina U-Net needs level P0.
    backbone: resNetFpn({ dim, inChannels, strideOne: kind.startsWith('RetinaUNet'), ...style, ...backbone }),
    ...(matcher && { matcher: iouMatcher(matcher) }),
    ...(sampler && { sampler: hardNegatives(sampler) }),
  };
  return new constructors[kind](options as never) as Detector as Detector<D>;
}
