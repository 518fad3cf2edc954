import { mkdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { InputError } from '@mdt/core';
import { loadDetector, type ModelLimits } from '@mdt/onnx';
import { beforeAll, describe, expect, test } from 'vitest';
import { exportOnnx } from '../src/index.js';
import { noise, small, temporaryFolder, useCpu } from './support.js';

// A model file from a stranger is data.

useCpu();
const dir = await temporaryFolder();
const folder = join(dir, 'models');
const plain = join(folder, 'plain.onnx');
const split = join(folder, 'split.onnx');
const detector = small('RetinaUNet2D');

beforeAll(async () => {
  await exportOnnx(detector, plain);
  expect((await exportOnnx(detector, split, { externalFromBytes: 1000 })).files).toEqual([split, `${split}.data`]);
});

describe('constants in a second file', () => {
  test('are read from beside the model, and give the same detections', async () => {
    const patch = noise(detector, 1);
    const [whole, parted] = [await loadDetector(plain), await loadDetector(split)];
    expect(await parted.detectPatches(patch, 1)).toEqual(await whole.detectPatches(patch, 1));
    for (const loaded of [whole, parted]) loaded.dispose();
  });

  /** The model with another location of its constants, as long as the true one. */
  async function located(location: string): Promise<string> {
    const name = 'split.onnx.data';
    const bytes = Buffer.from(await readFile(split));
    const padded = location.padEnd(name.length, '/').slice(0, name.length);
    for (let at = bytes.indexOf(name); at >= 0; at = bytes.indexOf(name)) bytes.write(padded, at);
    const file = join(folder, 'elsewhere.onnx');
    await writeFile(file, bytes);
    return file;
  }

  test.each([
    ['above the folder', '../secret.data//', 'do not lie in the folder'],
    ['through a folder and back', 'a/../../x.data/', 'do not lie in the folder'],
    ['at an absolute path', '/etc/passwd', 'do not lie in the folder'],
    ['on a drive', 'c:\\secret.data', 'do not lie in the folder'],
    ['above the folder, written as on Windows', '..\\secret.data', 'do not lie in the folder'],
    ['in a file that is not there', 'none.onnx.data', 'are missing'],
    ['behind a link', 'linked.onnxdata', 'do not lie in the folder'], // as long as the true name
  ])('are not read %s', async (_, location, message) => {
    await writeFile(join(dir, 'secret.data'), new Uint8Array(1 << 20));
    await mkdir(join(folder, 'a'), { recursive: true });
    await symlink(join(dir, 'secret.data'), join(folder, 'linked.onnxdata')).catch(() => {}); // from the case before
    const refused = loadDetector(await located(location));
    await expect(refused).rejects.toBeInstanceOf(InputError);
    await expect(refused).rejects.toThrow(message);
  });

  test('of a file that is too short are refused by their bytes', async () => {
    const file = join(folder, 'short.onnx');
    await writeFile(file, (await readFile(split)).toString('latin1').replaceAll('split.onnx.data', 'short.onnx.data'), 'latin1');
    await writeFile(`${file}.data`, new Uint8Array(10));
    await expect(loadDetector(file)).rejects.toMatchObject({ code: 'unreadable-file' });
  });
});

describe('limits', () => {
  const refused = async (limits: ModelLimits, file = plain) => {
    const error = await loadDetector(file, { limits })
      .then(
        (loaded) => loaded.detectPatches(noise(detector, 1), 1),
        (error: unknown) => Promise.reject(error),
      )
      .catch((error: unknown) => error);
    return error instanceof InputError ? error.code : 'nothing';
  };

  test('on bytes of the file, its external data, memory, operations and time hold', async () => {
    expect(await refused({})).toBe('nothing');
    expect(await refused({ fileBytes: 1000 })).toBe('limit-exceeded');
    expect(await refused({ fileBytes: (await readFile(split)).length + 100 }, split)).toBe('limit-exceeded');
    expect(await refused({ memoryBytes: 1000 })).toBe('limit-exceeded');
    expect(await refused({ operations: 1e5 })).toBe('limit-exceeded');
    expect(await refused({ timeMs: 1e-3 })).toBe('limit-exceeded');
  });

  test('are checked themselves', async () => {
    expect(await refused({ memoryBytes: -1 })).toBe('invalid-option');
    expect(await refused({ memory: 1 } as ModelLimits)).toBe('unknown-option');
  });

  test('on memory see a patch that grew', async () => {
    const file = join(folder, 'free.onnx');
    await exportOnnx(detector, file, { size: 'free' });
    const limits = { memoryBytes: 2 ** 26 };
    (await loadDetector(file, { limits })).dispose();
    const large = detector.patchSize.map((n) => 64 * n);
    await expect(loadDetector(file, { limits, patchSize: large })).rejects.toMatchObject({ code: 'limit-exceeded' });
  });
});
