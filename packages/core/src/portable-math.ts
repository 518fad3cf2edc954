/**
 * Logarithm, exponential, sine, cosine and powers with the same bits on every machine: JavaScript leaves the last digits of `Math.log` and its
 * kind to the engine, but rounds +, −, ×, ÷ and square roots alike everywhere. Series as in any table of formulas; what is cut off
 * lies below the rounding of a double.
 */

const number = new Float64Array(1);
const halves = new Uint32Array(number.buffer);
/** The half that holds sign and exponent. */
const high = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1 ? 1 : 0;

// ln 2 in two parts: the first has 21 trailing zeros, so that its product with an exponent is exact.
const ln2High = 0.6931471803691238;
const ln2Low = 1.9082149292705877e-10;

/** 2 to a whole power from −1022 to 1023. */
function powerOfTwo(exponent: number): number {
  number[0] = 1;
  halves[high] = (exponent + 1023) << 20;
  return number[0]!;
}

/** The natural logarithm. */
export function portableLog(x: number): number {
  if (!(x > 0) || x === Number.POSITIVE_INFINITY) return x === 0 ? Number.NEGATIVE_INFINITY : x > 0 ? x : Number.NaN;
  let exponent = 0;
  if (x < 2.2250738585072014e-308) {
    x *= 18014398509481984; // 2^54: not every bit of so small a number is there
    exponent = -54;
  }
  number[0] = x;
  exponent += (halves[high]! >>> 20) - 1023;
  halves[high] = (halves[high]! & 0xfffff) | 0x3ff00000;
  let mantissa = number[0]!;
  if (mantissa > Math.SQRT2) {
    mantissa /= 2;
    exponent++;
  }
  // ln m = 2 artanh f = 2 (f + f³/3 + f⁵/5 + …) with f = (m − 1) / (m + 1), at most 0.172
  const f = (mantissa - 1) / (mantissa + 1);
  const s = f * f;
  const q = s * s; // two sums side by side take half as long as one
  const odd = s * (1 / 3 + q * (1 / 7 + q * (1 / 11 + q * (1 / 15 + q * (1 / 19)))));
  const even = q * (1 / 5 + q * (1 / 9 + q * (1 / 13 + q * (1 / 17 + q * (1 / 21)))));
  const sum = odd + even;
  return exponent * ln2High + (2 * f + (2 * f * sum + exponent * ln2Low));
}

/** e to the power of `x`. */
export function portableExp(x: number): number {
  if (Number.isNaN(x)) return x;
  if (x > 709.782712893384) return Number.POSITIVE_INFINITY;
  if (x < -745.1332191019412) return 0;
  const exponent = Math.round(x * Math.LOG2E);
  const r = x - exponent * ln2High - exponent * ln2Low; // at most 0.347
  const far =
    1 +
    r *
      (1 / 8) *
      (1 + r * (1 / 9) * (1 + r * (1 / 10) * (1 + r * (1 / 11) * (1 + r * (1 / 12) * (1 + r * (1 / 13) * (1 + r * (1 / 14)))))));
  const sum =
    1 +
    r *
      (1 + r * (1 / 2) * (1 + r * (1 / 3) * (1 + r * (1 / 4) * (1 + r * (1 / 5) * (1 + r * (1 / 6) * (1 + r * (1 / 7) * far))))));
  const half = exponent >> 1; // in two steps, as the whole power may lie outside of what a double can hold
  return sum * powerOfTwo(half) * powerOfTwo(exponent - half);
}

/** `x` from 0 on to the power of `y`. */
export function portablePower(x: number, y: number): number {
  if (y === 0) return 1;
  if (x === 0) return y > 0 ? 0 : Number.POSITIVE_INFINITY;
  return portableExp(y * portableLog(x));
}

// π / 2 in two parts, the first of 33 bits.
const quarterHigh = 1.5707963267341256;
const quarterLow = 6.077100506506192e-11;

/** Sine of an angle in radians, of less than a million turns. */
export const portableSin = (angle: number): number => sineOfQuarters(angle, 0);

/** Cosine of an angle in radians, of less than a million turns. */
export const portableCos = (angle: number): number => sineOfQuarters(angle, 1);

/** Sine of an angle and so many quarter turns. */
function sineOfQuarters(angle: number, quarters: number): number {
  const turned = Math.round(angle / (Math.PI / 2));
  const r = angle - turned * quarterHigh - turned * quarterLow; // at most π / 4
  const s = r * r;
  const place = (turned + quarters) & 3;
  const value = place & 1 ? cosine(s) : r * sine(s);
  return place & 2 ? -value : value;
}

/** sin r / r by r². */
function sine(s: number): number {
  const far = 1 - s * (1 / 156) * (1 - s * (1 / 210) * (1 - s * (1 / 272) * (1 - s * (1 / 342))));
  return 1 - s * (1 / 6) * (1 - s * (1 / 20) * (1 - s * (1 / 42) * (1 - s * (1 / 72) * (1 - s * (1 / 110) * far))));
}

/** cos r by r². */
function cosine(s: number): number {
  const far = 1 - s * (1 / 132) * (1 - s * (1 / 182) * (1 - s * (1 / 240) * (1 - s * (1 / 306))));
  return 1 - s * (1 / 2) * (1 - s * (1 / 12) * (1 - s * (1 / 30) * (1 - s * (1 / 56) * (1 - s * (1 / 90) * far))));
}
