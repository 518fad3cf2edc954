import { readFileSync } from 'node:fs';
import { setImmediate } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { InputError, type Random, rng } from '@mdt/core';
import {
  type DecodedImage,
  decodeDicomSeries,
  decodeJpeg,
  decodeMetaImage,
  decodeNifti,
  decodeNpy,
  decodeNpz,
  decodeNrrd,
  decodePng,
  decodeTiff,
} from '../src/index.js';
import { gzipped, type Packed, png } from './packed-files.js';

type Decode = (file: Uint8Array) => Pick<DecodedImage, 'data'> | Promise<Pick<DecodedImage, 'data'>>;

interface Target {
  decode: Decode;
  /** Files of files/, or of the data folder, to start from. */
  corpus: readonly string[];
  packed?: Packed;
}

const dicom = [
  'CT_small',
  'MR_small',
  'MR_small_RLE',
  'MR_small_jp2klossless',
  'MR_small_jpeg_ls_lossless',
  'MR_small_bigendian',
  'MR_small_implicit',
  'SC_rgb_jpeg_dcmtk',
  'SC_rgb_jpeg_gdcm',
  'SC_rgb_rle_2frame',
  'image_dfl',
  'rtdose',
  'liver_1frame',
  'UN_sequence',
  'nested_priv_SQ',
];

const targets: Readonly<Record<string, Target>> = {
  npy: { decode: decodeNpy, corpus: ['numpy.npy', 'numpy-fortran.npy'] },
  npz: { decode: (file) => decodeNpz(file), corpus: ['numpy.npz', 'numpy-packed.npz'] },
  nifti: { decode: (file) => decodeNifti(file), corpus: ['itk.nii', 'nibabel-2.nii', 'nibabel-big-q.nii', 'itk-vector.nii'] },
  'nifti-gz': { decode: (file) => decodeNifti(file), corpus: ['itk.nii.gz', 'nibabel-series.nii.gz'], packed: gzipped },
  nrrd: {
    decode: (file) => decodeNrrd(file),
    corpus: ['itk.nrrd', 'itk-packed.nrrd', 'itk-vector.nrrd', 'pynrrd-text.nrrd', 'pynrrd-big.nhdr', 'itk-float64.nrrd'],
  },
  'meta-image': {
    decode: (file) => decodeMetaImage(file),
    corpus: ['itk.mha', 'itk-packed.mha', 'itk-vector.mha', 'itk-2d.mha', 'itk.mhd', 'itk-int64.mha'],
  },
  tiff: {
    decode: (file) => decodeTiff(file),
    corpus: [
      'tifffile.tif',
      'tifffile-lzw.tif',
      'tifffile-tiles-big.tif',
      'tifffile-packbits.tif',
      'tifffile-planes.tif',
      'tifffile-half.tif',
      'pillow-lzw.tif',
    ],
  },
  png: {
    decode: (file) => decodePng(file),
    corpus: ['pillow-16.png', 'pillow-rgba.png', 'pillow-bits.png', 'pillow-palette.png'],
    packed: png,
  },
  jpeg: { decode: (file) => decodeJpeg(file), corpus: ['pillow.jpg', 'pillow-rgb.jpg'] },
  dicom: {
    decode: (file) => decodeDicomSeries([['fuzz.dcm', file]], 'fuzz'),
    corpus: dicom.map((name) => `../../../../.mdt/data/dicom-files/${name}.dcm`),
  },
};

export const parts = Object.keys(targets);

/** Limits of one input of up to 64 KiB: research by this project on what other fuzzers allow, far below them. */
const limits = { milliseconds: 1000, megabytes: 256 };

setFlagsFromString('--expose-gc');
/** Lets arrays go that nobody holds any more: it is the input that is measured, not those before it. */
const collect = runInNewContext('gc') as () => void;

/**
 * Decodes damaged files of one format, numbers `from` to `n` − 1. Each is (part, seed, index) and nothing else, so a failure can be repeated.
 *
 * @throws where an input is neither decoded nor refused with an InputError, takes longer than a second, or memory grows by more
 * than 256 MiB
 */
export async function run(
  part: string,
  { n, seed, from = 0, onProgress }: { n: number; seed: string; from?: number; onProgress(index: number): void },
): Promise<string> {
  const { decode, corpus, packed } = targets[part]!;
  const whole = corpus.map((name) => readFileSync(fileURLToPath(new URL(`files/${name}`, import.meta.url))));
  for (const file of whole) await attempt(decode, file); // loads the codecs
  const files = whole.map((file) => (packed ? packed.unpack(file) : file));
  const before = process.resourceUsage().maxRSS;
  let refused = 0;
  let slowest = 0;
  for (let index = from; index < n; index++) {
    if (index % 100 === 0) onProgress(index);
    if (index % 250 === 0) {
      await setImmediate(); // what zlib gives back, it gives back in a turn of the event loop
      collect();
    }
    const random = rng(`${part}/${seed}/${index}`);
    const damaged = damage(files[random.integer(0, files.length)]!, files, random);
    const input = packed ? packed.pack(damaged, random) : damaged;
    const { error, took } = await timed(decode, input);
    slowest = Math.max(slowest, took);
    const grown = (process.resourceUsage().maxRSS - before) / 1024;
    const where = `${part}, seed ${seed}, input ${index} (${input.length} bytes)`;
    if (error && !(error instanceof InputError))
      throw new Error(`${where}: ${error instanceof Error ? error.stack : String(error)}`);
    if (took > limits.milliseconds && (await timed(decode, input)).took > limits.milliseconds)
      throw new Error(`${where}: ${took.toFixed(0)} ms`);
    if (grown > limits.megabytes) throw new Error(`${where}: memory grew by ${grown.toFixed(0)} MiB`);
    if (error) refused++;
  }
  const grown = (process.resourceUsage().maxRSS - before) / 1024;
  return `${n - from} inputs, ${refused} refused, ${n - from - refused} read; at most ${slowest.toFixed(0)} ms and ${grown.toFixed(0)} MiB more`;
}

/** Milliseconds that an input takes of the processor, at most those that pass: a pause of the machine is no fault of the input. */
async function timed(decode: Decode, input: Uint8Array): Promise<{ error: unknown; took: number }> {
  const [started, before] = [performance.now(), process.cpuUsage()];
  const error = await attempt(decode, input);
  const { user, system } = process.cpuUsage(before);
  return { error, took: Math.min(performance.now() - started, (user + system) / 1000) };
}

async function attempt(decode: Decode, input: Uint8Array): Promise<unknown> {
  try {
    const result = await decode(input);
    if ('header' in result) {
      const { size, channels } = (result as DecodedImage).header;
      const expected = size.reduce((product, length) => product * length, channels);
      if (result.data.length !== expected) return new Error(`${result.data.length} values for ${size.join('x')} of ${channels}`);
    }
    return undefined;
  } catch (error) {
    return error ?? new Error('threw nothing');
  }
}

const numbers = [
  0n,
  1n,
  2n,
  7n,
  127n,
  128n,
  255n,
  256n,
  1024n,
  32767n,
  32768n,
  65535n,
  65536n,
  2n ** 31n - 1n,
  2n ** 31n,
  2n ** 32n - 1n,
  2n ** 40n,
  2n ** 53n + 1n,
  2n ** 63n - 1n,
  2n ** 64n - 1n,
];
const words = [
  '-1',
  '0',
  '1e308',
  'NaN',
  '1099511627776',
  '999999999',
  '4294967296',
  '0.5',
  '',
  ' ',
  '../../x',
  'none',
  'LIST',
  '\0',
  '\n\n',
];

/** One to eight changes: bytes, numbers of every width, words of headers, cuts, repetitions, parts of other files. */
export function damage(file: Uint8Array, others: readonly Uint8Array[], random: Random): Buffer {
  let data = Buffer.from(file);
  for (let change = random.integer(1, 9); change > 0 && data.length > 0; change--) {
    const header = random.next() < 0.7 ? Math.min(data.length, 1024) : data.length;
    const at = random.integer(0, header);
    const length = Math.min(random.integer(1, 65), data.length - at);
    switch (random.integer(0, 8)) {
      case 0:
        data[at] = random.integer(0, 256);
        break;
      case 1:
        data[at]! ^= 1 << random.integer(0, 8);
        break;
      case 2:
      case 3: {
        const width = [1, 2, 4, 8][random.integer(0, 4)]!;
        if (at + width > data.length) break;
        let value = BigInt.asUintN(8 * width, numbers[random.integer(0, numbers.length)]!);
        const little = random.next() < 0.7;
        for (let i = 0; i < width; i++, value >>= 8n) data[at + (little ? i : width - 1 - i)] = Number(value & 255n);
        break;
      }
      case 4: {
        // A number that is written out, replaced by another word.
        const text = data.toString('latin1', 0, Math.min(data.length, 4096));
        const found = [...text.matchAll(/-?\d+(\.\d+)?/g)];
        const one = found[random.integer(0, Math.max(found.length, 1))];
        if (!one) break;
        const word = Buffer.from(words[random.integer(0, words.length)]!, 'latin1');
        data = Buffer.concat([data.subarray(0, one.index), word, data.subarray(one.index + one[0].length)]);
        break;
      }
      case 5:
        data = Buffer.from(data.subarray(0, random.integer(0, data.length)));
        break;
      case 6:
        data = Buffer.concat([data.subarray(0, at + length), data.subarray(at, at + length), data.subarray(at + length)]);
        break;
      default: {
        const other = others[random.integer(0, others.length)]!;
        const from = random.integer(0, other.length);
        data = Buffer.concat([data.subarray(0, at), other.subarray(from, from + length), data.subarray(at + length)]);
      }
    }
  }
  return data.subarray(0, 65536);
}
