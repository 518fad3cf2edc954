/** What a head's outputs mean. `softmax`: one per class and one, the first, for background. `sigmoid`: one per class, none for background. */
export type ClassActivation = 'softmax' | 'sigmoid';

/**
 * Probabilities of rows of `outputs` logits, in the same places. Doubles tell logits of 16 and 17 apart, which floats round to the same
 * probability: which of two sure boxes suppresses the other is then no matter of rounding. The original toolkit's are floats.
 */
export function probabilitiesFrom(
  activation: ClassActivation,
  logits: Float32Array,
  outputs: number,
  { legacy = false }: { legacy?: boolean } = {},
): Float32Array | Float64Array {
  const out = new (legacy ? Float32Array : Float64Array)(logits.length);
  if (activation === 'sigmoid') {
    for (let i = 0; i < out.length; i++) out[i] = 1 / (1 + Math.exp(-logits[i]!));
    return out;
  }
  for (let at = 0; at < out.length; at += outputs) {
    let highest = logits[at]!;
    for (let k = 1; k < outputs; k++) if (logits[at + k]! > highest) highest = logits[at + k]!;
    let sum = 0;
    for (let k = at; k < at + outputs; k++) {
      const value = Math.exp(logits[k]! - highest);
      out[k] = value;
      sum += value;
    }
    for (let k = at; k < at + outputs; k++) out[k] = out[k]! / sum;
  }
  return out;
}

/** The highest probability of a foreground class in each of `count` rows that start at row `from`. */
export function foregroundShare(
  activation: ClassActivation,
  logits: ArrayLike<number>,
  from: number,
  count: number,
  outputs: number,
): Float64Array {
  const share = new Float64Array(count);
  const first = activation === 'softmax' ? 1 : 0;
  for (let i = 0, at = from * outputs; i < count; i++, at += outputs) {
    let highest = logits[at + first]!;
    for (let k = first + 1; k < outputs; k++) highest = Math.max(highest, logits[at + k]!);
    let sum = activation === 'sigmoid' ? 1 + Math.exp(-highest) : 0;
    if (activation === 'softmax') for (let k = 0; k < outputs; k++) sum += Math.exp(logits[at + k]! - highest);
    share[i] = 1 / sum;
  }
  return share;
}
