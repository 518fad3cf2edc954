import { InputError } from '@mdt/core';

/** Learning rate as a share of its base value, from the share of the training that is done (0 to 1). */
export type Schedule = (progress: number) => number;

export interface WarmUp {
  /** Share of the training in which the rate rises linearly from near 0. Default 0. */
  warmUp?: number;
}

function warmed({ warmUp = 0 }: WarmUp, body: Schedule): Schedule {
  if (!(warmUp >= 0 && warmUp < 1)) throw new InputError('invalid-option', `schedule: warmUp is ${warmUp}, expected 0 up to 1`);
  return (progress) => {
    const at = Math.min(1, Math.max(0, progress));
    // The first step must not have a rate of exactly 0.
    if (at < warmUp) return Math.max(at / warmUp, 1e-3);
    return body((at - warmUp) / (1 - warmUp));
  };
}

/** The base rate throughout. */
export const constant = (options: WarmUp = {}): Schedule => warmed(options, () => 1);

/** Half a cosine from 1 to `final` (Loshchilov and Hutter 2017, without restarts). Default `final` 0. */
export const cosine = ({ final = 0, ...rest }: WarmUp & { final?: number } = {}): Schedule =>
  warmed(rest, (at) => final + ((1 - final) * (1 + Math.cos(Math.PI * at))) / 2);

/** `(1 − progress)^power`. Default power 0.9 (Chen et al. 2017, "DeepLab"). */
export const poly = ({ power = 0.9, ...rest }: WarmUp & { power?: number } = {}): Schedule =>
  warmed(rest, (at) => (1 - at) ** power);
