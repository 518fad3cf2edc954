// Real scans of other programs, a DICOM series with the NIfTI segmentation that was drawn on it, and an NRRD with its segments:
// from their files to the patch that is trained on, and back to boxes in millimetres of the patient.
import { cp, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Dim, type Placement, pointsToPhysical, toPhysical } from '@mdt/core';
import { beforeAll, expect, test } from 'vitest';
import { type Dataset, describeVolume, loadLabelMap, loadVolume, openDataset, patches } from '../src/index.js';
import { mdt, temporaryFolder } from './support.js';

const data = fileURLToPath(new URL('../../../.mdt/data', import.meta.url));
const scans = {
  dicom: { image: 'ct-files/example_ct_dicom', to: 'dicom', labels: 'ct-files/example_seg_dicom.nii.gz' },
  nrrd: { image: 'nrrd-files/CTChest4.nrrd', to: 'nrrd.nrrd', labels: 'nrrd-files/Segmentation.seg.nrrd' },
  again: { image: 'nrrd-files/CTChest4.nrrd', to: 'again.nrrd', labels: 'nrrd-files/Segmentation.seg.nrrd' }, // validates
};

let root = '';
let prepared: Dataset<3>;
beforeAll(async () => {
  root = await temporaryFolder();
  const source = join(root, 'scans');
  for (const [id, { image, to, labels }] of Object.entries(scans)) {
    await mkdir(join(source, 'images'), { recursive: true });
    await cp(join(data, image), join(source, 'images', to), { recursive: true });
    await cp(join(data, labels), join(source, 'labels', `${id}.${labels.endsWith('.nrrd') ? 'nrrd' : 'nii.gz'}`));
  }
  await run('dataset', 'init', source, '--classes', 'organ', '--window=-1000,1000');
  const json = JSON.parse(await readFile(join(source, 'dataset.json'), 'utf8'));
  for (const one of json.cases) one.split = one.id === 'again' ? 'validation' : 'train';
  await writeFile(join(source, 'dataset.json'), JSON.stringify(json));
  await run('dataset', 'prepare', source, join(root, 'prepared'), '--crop-above', '-300', '--workers', '0');
  prepared = await openDataset(join(root, 'prepared'), { dim: 3 });
}, 120_000);

async function run(...args: string[]): Promise<string> {
  const { code, out, err } = await mdt(...args);
  expect(code, `${args.join(' ')}\n${out}${err}`).toBe(0);
  return out;
}

/** The millimetres that the voxels of a segment reach, straight from its file: least and greatest along z, y and x. */
function extents({ data: ids, size, ...place }: Awaited<ReturnType<typeof loadLabelMap<3>>>): Map<number, number[]> {
  const ranges = new Map<number, number[]>();
  for (let i = 0; i < ids.length; i++) {
    if (ids[i] === 0) continue;
    const at = [Math.floor(i / (size[1] * size[2])), Math.floor(i / size[2]) % size[1], i % size[2]];
    const range = ranges.get(ids[i]!) ?? [...at, ...at];
    at.forEach((value, d) => {
      range[d] = Math.min(range[d]!, value);
      range[d + 3] = Math.max(range[d + 3]!, value);
    });
    ranges.set(ids[i]!, range);
  }
  return new Map(Array.from(ranges, ([id, corners]) => [id, sorted(pointsToPhysical(corners, place))]));
}

/** Two corners, the lesser coordinates first. */
const sorted = (corners: ArrayLike<number>): number[] => [
  ...[0, 1, 2].map((d) => Math.min(corners[d]!, corners[d + 3]!)),
  ...[0, 1, 2].map((d) => Math.max(corners[d]!, corners[d + 3]!)),
];

test.each(['dicom', 'nrrd'] as const)(
  '%s: a patch for training holds every segment where its own file says it lies',
  async (id) => {
    const file = extents(await loadLabelMap(join(data, scans[id].labels), 3));
    const one = await prepared.load(id);
    const patchSize = Array.from(one.image.size, (n) => n + 4) as [number, number, number]; // the scan lies in its middle
    const { targets, instances } = await patches<3>(prepared.subset([id]), { patchSize, batchSize: 1, seed: 0 }).batch(0);
    const { boxes, labels } = targets[0]!;
    expect(labels.length).toBe(one.objects.labels.length);
    expect(labels.length).toBeGreaterThan(5);
    const ids = [...new Set(one.labelMap.data)].filter((value) => value > 0).sort((a, b) => a - b);
    const shift = -2; // from the patch to the scan
    for (let k = 0; k < labels.length; k++) {
      const box = boxes.subarray(6 * k, 6 * k + 6).map((edge) => edge + shift);
      // Edges of a box lie half a voxel beyond the centres of its voxels.
      const found = sorted(toPhysical(box, one.image)).map((v, i) => v + ((i < 3 ? 1 : -1) * one.image.spacing[i % 3]!) / 2);
      const expected = file.get(ids[k]!)!;
      found.forEach((value, i) => {
        expect(Math.abs(value - expected[i]!), `object ${ids[k]}`).toBeLessThan(1e-3);
      });
    }
    expect(new Set(instances).size).toBe(labels.length + 1);
  },
);

test('the scans train a detector, whose boxes of a file come back in millimetres of the patient', {
  timeout: 300_000,
}, async () => {
  // Coarse, and the same in both scans: prediction resamples to it, and boxes back.
  await run('dataset', 'prepare', join(root, 'scans'), join(root, 'coarse'), '--spacing', '10,10,10', '--workers', '0');
  const config = {
    data: { dir: join(root, 'coarse') },
    detector: {
      ...{ kind: 'RetinaUNet3D', patchSize: [8, 32, 32], headFilters: 4, backbone: { startFilters: 2, outChannels: 4 } },
      anchors: { sizes: { P2: [3, 4, 4] }, aspectRatios: [1], octaves: 1 },
      nms: { minScore: 0, maxPerImage: 10 },
    },
    training: { epochs: 1, stepsPerEpoch: 1, batchSize: 1, workers: 0, validation: 'patches', validationPatches: 1 },
    prediction: { mirror: [], best: 1 },
  };
  await writeFile(join(root, 'scans.json'), JSON.stringify(config));
  await run('train', join(root, 'scans.json'), '--out', join(root, 'run'));
  for (const { image: name } of [scans.dicom, scans.nrrd]) {
    const path = join(data, name);
    const out = join(root, 'predicted', name);
    await run('predict', path, '--run', join(root, 'run'), '--out', out);
    const { cases } = JSON.parse(await readFile(join(out, 'predictions.json'), 'utf8'));
    const image = await loadVolume(path, { dim: 3 });
    const { size } = await describeVolume(path, 3);
    const { detections } = cases[0];
    expect(detections.length).toBeGreaterThan(0);
    for (const { box, boxMm } of detections as { box: number[]; boxMm: number[] }[]) {
      expect(box.every((value, i) => value >= -1e-3 && value <= size[i % 3]! + 1e-3)).toBe(true);
      const corners = sorted(toPhysical(box, image as Placement<Dim>));
      sorted(boxMm).forEach((value, i) => {
        expect(value).toBeCloseTo(corners[i]!, 2);
      });
    }
  }
});
