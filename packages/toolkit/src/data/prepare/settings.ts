import { type Dim, InputError, refuseUnknownKeys } from '@mdt/core';
import { checkNormalisation, type Normalisation } from '@mdt/formats';

/** What preparing does to an image, in this order. */
export interface PrepareSettings {
  /** Cuts away what surrounds the body: the box of all voxels above a grey value, and all objects, with a margin in millimetres. */
  crop?: { above: number; margin?: number };
  /** Millimetres per voxel, array order, that images are resampled to: linearly, label maps to the nearest. */
  spacing?: readonly number[];
  /** Applied to the result, cuts (`clip`, `window`) included. Default: what the source's data set says. */
  normalise?: Normalisation;
}

/** Checks settings of a program or a command line. Throws InputError. */
export function checkSettings(settings: PrepareSettings, dim: Dim): void {
  const where = 'prepare';
  refuseUnknownKeys(where, settings, ['crop', 'spacing', 'normalise']);
  const { crop, spacing, normalise } = settings;
  if (crop !== undefined) {
    refuseUnknownKeys(`${where}: crop`, crop, ['above', 'margin']);
    const { above, margin = 0 } = crop;
    if (!Number.isFinite(above) || !(margin >= 0)) {
      throw new InputError(
        'invalid-option',
        `${where}: crop above ${above}, margin ${margin}, expected a number, and one of at least 0`,
      );
    }
  }
  if (spacing !== undefined && !(spacing.length === dim && spacing.every((step) => Number.isFinite(step) && step > 0))) {
    throw new InputError('invalid-option', `${where}: spacing is ${spacing}, expected ${dim} positive numbers (millimetres)`);
  }
  if (normalise !== undefined) checkNormalisation(normalise, `${where}: normalise`);
}
