import { readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { volume } from '@mdt/core';
import { decodeImageFiles, encodeNifti, storedVolume } from '@mdt/formats';
import { data } from './chromium.js';

interface Place {
  spacing?: readonly number[];
  origin?: readonly number[];
  direction?: readonly number[];
}

/** Voxels from the middle of the nuclei as a NIfTI file, where the microscope saw them or elsewhere. */
export async function writeNuclei(path: string, size: readonly [number, number, number], place: Place = {}): Promise<void> {
  const name = data('nuclei-3d/test.nrrd');
  const decoded = await decodeImageFiles([{ name, bytes: readFileSync(name) }]);
  const { slope, intercept, ...whole } = storedVolume(decoded, name, { dim: 3 });
  const [depth, height, width] = size;
  const part = whole.data.slice(0, depth * height * width);
  for (let z = 0; z < depth; z++) {
    for (let y = 0; y < height; y++) {
      const from = ((z + 18) * whole.size[1] + y + 80) * whole.size[2] + 16;
      part.set(whole.data.subarray(from, from + width), (z * height + y) * width);
    }
  }
  const image = volume({ dim: 3, size, data: part, spacing: whole.spacing, ...place });
  await writeFile(path, encodeNifti(image, { slope, intercept }));
}

/** A place as scanners have it: slices far apart, axes tilted by 20 degrees, rows from back to front. */
export const tilted: Place = {
  spacing: [2.5, 0.6, 0.7],
  origin: [-120, 33, -71],
  direction: [...[Math.cos(0.35), -Math.sin(0.35), 0], ...[-Math.sin(0.35), -Math.cos(0.35), 0], ...[0, 0, 1]],
};
