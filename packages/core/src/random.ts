import { portableCos, portableLog, portableSin } from './portable-math.js';

/** A seeded stream of random numbers: the same bits on every platform, those of `normal` included. */
export interface Random {
  /** Uniform in [0, 1), 32 bits. */
  next(): number;
  /** Uniform in [low, high). */
  uniform(low: number, high: number): number;
  /** Integer in [low, high), uniform. */
  integer(low: number, high: number): number;
  /** Normally distributed. */
  normal(mean?: number, deviation?: number): number;
  /** `count` different indices out of 0 … n − 1, in random order; all of them when `count` is at least n. */
  choose(n: number, count: number): Int32Array;
  /** A stream of its own for `key`, which does not depend on what was drawn here before. */
  fork(key: string | number): Random;
}

/** Mixes 32 bits: the finaliser of MurmurHash3. */
function mix(h: number): number {
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}

function hash(key: string | number, seed: number): number {
  const text = `${typeof key}:${key}`;
  let h = seed >>> 0;
  for (let i = 0; i < text.length; i++) h = mix(Math.imul(h ^ text.charCodeAt(i), 0x9e3779b1) + 0x7f4a7c15);
  return h;
}

/** A generator (xoshiro128**, Blackman and Vigna 2018) seeded from an integer or a string. */
export function rng(seed: string | number): Random {
  const root = hash(seed, 0x2545f491);
  const s = new Uint32Array(4);
  let state = root;
  for (let i = 0; i < 4; i++) {
    state = (state + 0x9e3779b9) >>> 0;
    s[i] = mix(state);
  }
  if ((s[0]! | s[1]! | s[2]! | s[3]!) === 0) s[0] = 1;
  let spare: number | undefined;

  const rotl = (x: number, k: number) => (x << k) | (x >>> (32 - k));
  const bits = (): number => {
    const result = Math.imul(rotl(Math.imul(s[1]!, 5), 7), 9) >>> 0;
    const t = s[1]! << 9;
    s[2]! ^= s[0]!;
    s[3]! ^= s[1]!;
    s[1]! ^= s[2]!;
    s[0]! ^= s[3]!;
    s[2]! ^= t;
    s[3] = rotl(s[3]!, 11);
    return result;
  };
  const random: Random = {
    next: () => bits() / 4294967296,
    uniform: (low, high) => low + (high - low) * random.next(),
    integer(low, high) {
      if (!(high > low)) throw new RangeError(`random.integer: expected low < high, got [${low}, ${high})`);
      return low + Math.floor(random.next() * (high - low));
    },
    normal(mean = 0, deviation = 1) {
      if (spare !== undefined) {
        const value = spare;
        spare = undefined;
        return mean + deviation * value;
      }
      const radius = Math.sqrt(-2 * portableLog(1 - random.next())); // Box and Muller 1958
      const angle = 2 * Math.PI * random.next();
      spare = radius * portableSin(angle);
      return mean + deviation * radius * portableCos(angle);
    },
    choose(n, count) {
      const indices = Int32Array.from({ length: n }, (_, i) => i);
      const take = Math.min(n, count);
      for (let i = 0; i < take; i++) {
        const j = random.integer(i, n);
        const value = indices[i]!;
        indices[i] = indices[j]!;
        indices[j] = value;
      }
      return indices.subarray(0, take);
    },
    fork: (key) => rng(`${root}/${typeof key}:${key}`),
  };
  return random;
}
