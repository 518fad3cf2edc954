import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, rename, rm, stat, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { InputError } from '@mdt/core';
import { encodeDicomSlice, encodeNifti } from '@mdt/formats';
import { nodulesOf } from '../layouts/lidc/lidc.js';
import { encodeLidcXml } from '../layouts/lidc/lidc-xml.js';
import { type SynthLidcOptions, type SynthScan, synthLidc } from './synth-lidc.js';

export interface WriteSynthOptions extends SynthLidcOptions {
  /** `dicom` with LIDC's XML, as the layout `lidc` reads it; `nifti` with label maps and `classes.csv`, as `folder` does. Default both. */
  formats?: readonly ('dicom' | 'nifti')[];
  overwrite?: boolean;
  onProgress?: (done: number, total: number) => void;
}

/**
 * Writes `synthLidc`'s scans into a folder: `dicom/ID/` with a file per slice and `ID.xml`, `nifti/images`, `nifti/labels` and
 * `nifti/classes.csv`, where the readers are joined by the default rules of `lidcLayout`.
 *
 * @throws InputError `invalid-option`, also for a folder that exists
 */
export async function writeSynthLidc(folder: string, options: WriteSynthOptions): Promise<void> {
  const { formats = ['dicom', 'nifti'], overwrite = false, onProgress, ...synth } = options;
  const unknown = formats.find((one) => one !== 'dicom' && one !== 'nifti');
  if (unknown || formats.length === 0)
    throw new InputError('invalid-option', `synthLidc: format '${unknown}', expected dicom or nifti`);
  const taken = await stat(folder).then(
    () => true,
    () => false,
  );
  if (taken && !overwrite) throw new InputError('invalid-option', `synthLidc: ${folder} exists, pass overwrite to replace it`);
  await mkdir(dirname(folder), { recursive: true });
  const draft = await mkdtemp(join(dirname(folder), `.${basename(folder)}-`));
  try {
    const rows = ['case,object,class'];
    let done = 0;
    for await (const scan of synthLidc(synth)) {
      if (formats.includes('dicom')) await writeDicom(join(draft, 'dicom', scan.id), scan);
      if (formats.includes('nifti')) rows.push(...(await writeNifti(join(draft, 'nifti'), scan)));
      onProgress?.(++done, synth.cases);
    }
    if (formats.includes('nifti')) await writeFile(join(draft, 'nifti', 'classes.csv'), `${rows.join('\n')}\n`);
    if (taken) await rm(folder, { recursive: true });
    await rename(draft, folder);
  } catch (error) {
    await rm(draft, { recursive: true, force: true });
    throw error;
  }
}

async function writeDicom(folder: string, { id, image, reading }: SynthScan): Promise<void> {
  await mkdir(folder, { recursive: true });
  const { size, spacing, origin, data } = image;
  const [nz, ny, nx] = size;
  const uids = new Map(reading.marks.flatMap(({ contours }) => contours.map(({ z, sliceUid }) => [z, sliceUid])));
  const frameUid = `${reading.seriesUid}1`.slice(0, 64);
  for (let z = 0; z < nz; z++) {
    const place = Number((origin[0] + z * spacing[0]).toFixed(6));
    const file = encodeDicomSlice({
      ...{
        patient: id,
        studyUid: reading.studyUid,
        seriesUid: reading.seriesUid,
        frameUid,
        instance: z + 1,
        rows: ny,
        columns: nx,
      },
      sliceUid: uids.get(place) ?? uidOf(`${reading.seriesUid} ${z}`),
      pixels: data.slice(z * ny * nx, (z + 1) * ny * nx).map((value) => value + 1024),
      ...{ slope: 1, intercept: -1024, spacing: [spacing[1], spacing[2]], thickness: spacing[0] },
      position: [origin[2], origin[1], place],
      orientation: [1, 0, 0, 0, 1, 0],
    });
    await writeFile(join(folder, `${String(z + 1).padStart(4, '0')}.dcm`), file);
  }
  await writeFile(join(folder, `${id}.xml`), encodeLidcXml(reading));
}

const uidOf = (name: string): string => `2.25.${BigInt(`0x${createHash('sha256').update(name).digest('hex').slice(0, 31)}`)}`;

/** Image and label map; the rows of the table of classes. */
async function writeNifti(folder: string, { id, image, reading }: SynthScan): Promise<string[]> {
  const { labelMap, objectClasses } = nodulesOf(reading, image, id);
  for (const [name, one] of [
    ['images', image],
    ['labels', labelMap],
  ] as const) {
    await mkdir(join(folder, name), { recursive: true });
    await writeFile(join(folder, name, `${id}.nii.gz`), encodeNifti(one, { gzip: true }));
  }
  return Object.entries(objectClasses).map(([object, label]) => `${id},${object},${label}`);
}
