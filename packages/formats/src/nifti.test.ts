import { gzipSync } from 'node:zlib';
import { InputError, volume } from '@mdt/core';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { decodeNifti, encodeNifti } from './index.js';

interface Fields {
  /** x, y, z, channels: the order of the format. */
  sizes: number[];
  pixdim?: number[];
  type?: number;
  slope?: [number, number];
  rows?: number[][];
  bigEndian?: boolean;
}

/** A NIfTI-1 file with the given voxel bytes. */
function nifti(
  { sizes, pixdim = [1, 1, 1], type = 4, slope = [0, 0], rows, bigEndian = false }: Fields,
  data: Uint8Array,
): Buffer {
  const file = Buffer.alloc(352 + data.length);
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  const little = !bigEndian;
  view.setInt32(0, 348, little);
  [sizes.length, ...sizes].forEach((n, i) => {
    view.setInt16(40 + 2 * i, n, little);
  });
  view.setInt16(70, type, little);
  [1, ...pixdim].forEach((n, i) => {
    view.setFloat32(76 + 4 * i, n, little);
  });
  view.setFloat32(108, 352, little);
  view.setFloat32(112, slope[0], little);
  view.setFloat32(116, slope[1], little);
  if (rows) {
    view.setInt16(254, 1, little);
    rows.flat().forEach((n, i) => {
      view.setFloat32(280 + 4 * i, n, little);
    });
  }
  file.write('n+1\0', 344, 'latin1');
  file.set(data, 352);
  return file;
}

const int16 = (...values: number[]) => new Uint8Array(Int16Array.from(values).buffer);

function refusal(file: Uint8Array): InputError {
  try {
    decodeNifti(file, 'a.nii');
  } catch (error) {
    expect(error).toBeInstanceOf(InputError);
    return error as InputError;
  }
  throw new Error('expected a refusal');
}

test('the last axis of the array is x, which runs fastest in the file', () => {
  const { header, data } = decodeNifti(nifti({ sizes: [3, 2, 1], pixdim: [0.5, 0.6, 2] }, int16(1, 2, 3, 4, 5, 6)));
  expect(header.size).toEqual([1, 2, 3]);
  expect(header.geometry!.spacing.map((s) => Number(s.toFixed(3)))).toEqual([2, 0.6, 0.5]);
  expect(data).toEqual(Int16Array.of(1, 2, 3, 4, 5, 6));
});

test('channels, which the file stores one after the other, come last', () => {
  const { header, data } = decodeNifti(nifti({ sizes: [2, 1, 1, 2] }, int16(1, 2, 10, 20)));
  expect(header).toMatchObject({ size: [1, 1, 2], channels: 2 });
  expect(data).toEqual(Int16Array.of(1, 10, 2, 20));
});

test('reads big-endian files, packed files, scale and origin', () => {
  const swapped = Uint8Array.of(0, 1, 1, 0); // 1 and 256
  const rows = [
    [1, 0, 0, -5],
    [0, 1, 0, 6],
    [0, 0, 1, 7],
  ];
  const file = nifti({ sizes: [2, 1, 1], slope: [2, 1], rows, bigEndian: true }, swapped);
  const { header, data } = decodeNifti(gzipSync(file));
  expect(data).toEqual(Int16Array.of(1, 256));
  expect([header.slope, header.intercept]).toEqual([2, 1]);
  // NIfTI's x runs to the right and y to the front, ours to the left and to the back.
  expect(header.geometry).toEqual({ spacing: [1, 1, 1], origin: [7, -6, 5], direction: [1, 0, 0, 0, -1, 0, 0, 0, -1] });
});

test('an image whose x axis runs to the left keeps its direction', () => {
  const rows = [
    [-2, 0, 0, 5],
    [0, -1, 0, 6],
    [0, 0, 3, 7],
  ];
  const { geometry } = decodeNifti(nifti({ sizes: [1, 1, 1], rows }, int16(0))).header;
  expect(geometry).toEqual({ spacing: [3, 1, 2], origin: [7, -6, -5], direction: [1, 0, 0, 0, 1, 0, 0, 0, 1] });
});

test('lengths in metres or micrometres become millimetres', () => {
  const file = nifti({ sizes: [1, 1, 1], pixdim: [250, 250, 500] }, int16(0));
  file[123] = 3;
  expect(decodeNifti(file).header.geometry!.spacing).toEqual([0.5, 0.25, 0.25]);
});

test('what encodeNifti writes is read back, in place, whatever type, direction and number of channels', () => {
  const turn = [0.8, 0, 0.6, 0, 1, 0, -0.6, 0, 0.8];
  const place = { spacing: [2, 1.5, 0.75], origin: [10, -20, 30] };
  for (const data of [Int8Array.of(-1, 2), Uint16Array.of(65535, 1), Int32Array.of(-70000, 5), Float64Array.of(0.1, 1e300)]) {
    for (const gzip of [false, true]) {
      const image = volume({ dim: 3, data, size: [1, 1, 1], channels: 2, ...place, direction: turn });
      const back = decodeNifti(encodeNifti(image, { gzip, slope: 2, intercept: -1 }));
      expect(back.data).toEqual(data);
      expect(back.header).toMatchObject({ size: [1, 1, 1], channels: 2, slope: 2, intercept: -1 });
      const { spacing, origin, direction } = back.header.geometry!;
      [...place.spacing, ...place.origin, ...turn].forEach((value, i) => {
        expect([...spacing, ...origin!, ...direction!][i]).toBeCloseTo(value, 5);
      });
    }
  }
  const long = volume({ dim: 2, data: new Uint8Array(40_000), size: [1, 40_000] });
  expect(decodeNifti(encodeNifti(long)).header).toMatchObject({ size: [1, 1, 40_000] }); // NIfTI-2
  expect(() => encodeNifti(long, { slope: 0 })).toThrow(/slope not 0/);
});

test('refuses a header that claims more than is there, packed or not, before anything of that size is made', () => {
  const claims = nifti({ sizes: [10_240, 10_240, 10_240] }, int16(1, 2));
  expect(refusal(claims).message).toContain(
    'a.nii: size 10240x10240x10240 of 1 values needs 2147483648000 bytes, more than an array can hold',
  );
  const large = nifti({ sizes: [1024, 1024, 1024] }, int16(1, 2));
  expect(refusal(large).message).toContain('needs 2147484000 bytes, but 356 are there');
  expect(refusal(gzipSync(large)).message).toContain('cannot hold more than');
  const little = nifti({ sizes: [10, 10, 10] }, int16(1, 2));
  expect(refusal(gzipSync(little)).message).toContain('356 bytes are packed, expected 2352');
});

test('a packed file is not unpacked beyond what its header declares', () => {
  const bomb = gzipSync(nifti({ sizes: [2, 1, 1] }, new Uint8Array(5_000_000)));
  expect(refusal(bomb).message).toContain('holds more than the 356 bytes that the header declares');
});

test('refuses files that are cut short, damaged or of another kind', () => {
  const file = nifti({ sizes: [2, 1, 1] }, int16(1, 2));
  expect(refusal(file.subarray(0, 355)).code).toBe('unreadable-file');
  expect(refusal(file.subarray(0, 100)).message).toContain('expected at least the 348');
  expect(refusal(gzipSync(file).subarray(0, 40)).code).toBe('unreadable-file');
  expect(refusal(Buffer.alloc(400)).message).toContain('not a NIfTI file');
  expect(refusal(nifti({ sizes: [2, 1, 1], type: 1536 }, int16(1, 2))).message).toContain('type code 1536');
  expect(refusal(nifti({ sizes: [2, 0, 1] }, int16(1, 2))).message).toContain('an axis of 0 voxels');
});

test('never does anything but read or refuse, whatever the header', () => {
  const whole = nifti({ sizes: [2, 2, 1] }, int16(1, 2, 3, 4));
  fc.assert(
    fc.property(fc.nat(351), fc.nat(255), (at, value) => {
      const file = Buffer.from(whole);
      file[at] = value;
      try {
        expect(decodeNifti(file).data.byteLength).toBeLessThanOrEqual(file.length);
      } catch (error) {
        expect(error).toBeInstanceOf(InputError);
      }
    }),
  );
});
