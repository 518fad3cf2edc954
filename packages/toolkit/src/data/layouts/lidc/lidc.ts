import { readdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { InputError, type Volume } from '@mdt/core';
import { isDicom, rescaled } from '@mdt/formats';
import { missing, readInput, readStart } from '../../input-file.js';
import { Problems, StoppedReading } from '../../problems.js';
import { readVolume } from '../../volume-file.js';
import type { SourceDataset } from '../../write-dataset.js';
import { drawRegions, type Place } from '../draw.js';
import { headWith, type LayoutOptions } from '../folder.js';
import { drawParts } from '../parts.js';
import { type ConsensusOptions, checkConsensus, consensusOf, groupMarks, type Nodule, type ReaderMark } from './consensus.js';
import { type LidcMark, type LidcReading, parseLidcXml } from './lidc-xml.js';
import { eachVoxel, type LocalMask, localMask } from './local-mask.js';
import { fillPolygon } from './polygon.js';

export interface LidcOptions extends Omit<LayoutOptions, 'dim' | 'classes'> {
  /** How four readers become one truth. Default: the original's rules, but absent readers do not count as ratings of 0. */
  consensus?: ConsensusOptions;
  /** Two names for what is below and above the threshold of malignancy, or one for all nodules. Default benign, malignant. */
  classes?: readonly string[];
  /** Whether the pixels of an outline are outside the nodule, as LIDC defines them, or belong to it. Default `outside`. */
  outlines?: 'outside' | 'inside';
}

/**
 * LIDC-IDRI as it is downloaded: folders with a CT's DICOM files and the XML file of its readers, at any depth. A scan is a case, named
 * by its patient (the folder `LIDC-IDRI-0001`, or the outermost one), with a number where a patient has several. Nodules below 3 mm,
 * which readers mark with a point, are no objects.
 */
export async function lidcLayout(
  folder: string,
  options: LidcOptions = {},
  problems: Problems = new Problems(),
): Promise<SourceDataset<3>> {
  const { consensus = {}, classes = ['benign', 'malignant'], outlines = 'outside' } = options;
  checkConsensus(consensus, 'lidc');
  checkClasses(classes);
  const [scans] = await problems.all([folder, () => findScans(folder, problems)]);
  if (scans.length === 0) {
    const expected = 'a folder with DICOM files and an XML file of readings';
    problems.add({ code: 'empty-dataset', file: folder, field: 'scans', found: 'none', expected });
    throw new StoppedReading();
  }
  const patients = scans.map(({ path }) => patientOf(path.slice(folder.length)));
  const ids = patients.map((patient, i) => {
    const before = patients.slice(0, i).filter((other) => other === patient).length;
    return before > 0 ? `${patient}-${before + 1}` : patient;
  });
  const parts = drawParts(patients, options);
  const cases = scans.map(({ path, files, xml }, i) => ({
    id: ids[i]!,
    patient: patients[i]!,
    split: parts.get(patients[i]!)!,
    files: [...files, xml],
    async load(problems = new Problems()) {
      const [image, reading] = await problems.all(
        [path, async () => rescaled(await readVolume(path, { dim: 3 }))],
        [xml, async () => parseLidcXml((await readInput(xml)).toString('utf8'), xml, problems)],
      );
      return { image, ...nodulesOf(reading, image, xml, { consensus, classes, outlines }, problems) };
    },
  }));
  return { ...headWith(folder, { ...options, classes }, { dim: 3, channels: 1 }), cases };
}

/** The label map and the classes that the readers of a scan make together. */
export function nodulesOf(
  { marks }: LidcReading,
  image: Volume<3>,
  where: string,
  {
    consensus = {},
    classes = ['benign', 'malignant'],
    outlines = 'outside',
  }: Pick<LidcOptions, 'consensus' | 'classes' | 'outlines'> = {},
  problems: Problems = new Problems(),
) {
  const masks = marks.flatMap((mark): ReaderMark[] => {
    const mask = maskOf(mark, image, outlines, where, problems);
    const { malignancy } = mark.ratings;
    return mask ? [{ reader: mark.reader, mask, ...(malignancy !== undefined && { malignancy }) }] : [];
  });
  const nodules = groupMarks(masks).flatMap((group) => consensusOf(group, image.spacing, consensus) ?? []);
  return drawNodules(image, nodules, classes, where);
}

export function checkClasses(classes: readonly string[]): void {
  if (classes.length === 1 || classes.length === 2) return;
  throw new InputError(
    'invalid-option',
    `lidc: ${classes.length} classes, expected two (benign, malignant) or one for all nodules`,
  );
}

/** The label map and classes of consensus nodules. */
export function drawNodules(image: Volume<3>, nodules: readonly Nodule[], classes: readonly string[], where: string) {
  const [, ny, nx] = image.size;
  const regions = nodules.map(({ mask }) => ({
    voxels: mask.voxels,
    fill: (labelMap: Uint16Array, id: number) =>
      eachVoxel(mask, (z, y, x) => {
        labelMap[(z * ny + y) * nx + x] = id;
      }),
  }));
  return {
    labelMap: drawRegions(image, regions, where) as Volume<3, Uint16Array>,
    objectClasses: Object.fromEntries(nodules.map(({ malignant }, i) => [i + 1, classes[malignant ? 1 : 0] ?? classes[0]!])),
  };
}

/** The voxels that a reader marked; undefined for a mark without area, or outside the image, after that was said. */
function maskOf(
  mark: LidcMark,
  image: Volume<3>,
  outlines: 'outside' | 'inside',
  file: string,
  problems: Problems,
): LocalMask | undefined {
  const outlined = mark.contours.filter(({ points }) => points.length >= 6);
  if (outlined.length === 0) return undefined;
  const found = outlined.map(({ z }) => sliceAt(z, image, { file, field: `nodule '${mark.id}': imageZposition` }, problems));
  const slices = found.filter((slice) => slice !== undefined);
  if (slices.length < found.length) return undefined;
  const every = (axis: 0 | 1) => outlined.flatMap(({ points }) => Array.from(points).filter((_, i) => i % 2 === axis));
  const [xs, ys] = [every(0), every(1)];
  const limit = (values: number[], n: number): [number, number] => [
    Math.max(0, Math.min(...values)),
    Math.min(n, Math.max(...values) + 1),
  ];
  const [x, y, z] = [limit(xs, image.size[2]), limit(ys, image.size[1]), limit(slices, image.size[0])];
  return localMask([z[0], y[0], x[0]], [z[1], y[1], x[1]], (set) => {
    for (const inclusion of [true, false]) {
      for (const [i, contour] of outlined.entries()) {
        if (contour.inclusion !== inclusion) continue;
        const value = inclusion ? 1 : 0;
        fillPolygon(contour.points, [image.size[1], image.size[2]], (row, from, to) => {
          for (let column = from; column < to; column++) set(slices[i]!, row, column, value);
        });
        // The rule says where the outline's own pixels belong: an outline's to the outside, a hole's to the nodule, or the reverse.
        const own = (outlines === 'inside') === inclusion ? 1 : 0;
        for (let k = 0; k < contour.points.length; k += 2) set(slices[i]!, contour.points[k + 1]!, contour.points[k]!, own);
      }
    }
  });
}

/** The slice of a place along the patient's axis; undefined where there is none, after that was said. */
function sliceAt(z: number, image: Volume<3>, place: Place, problems: Problems): number | undefined {
  const step = (image.direction?.[0] ?? 1) * image.spacing[0];
  const slice = (z - image.origin[0]) / step;
  const nearest = Math.round(slice);
  if (Math.abs(slice - nearest) < 0.45 && nearest >= 0 && nearest < image.size[0]) return nearest;
  problems.add({ ...place, found: `${z}`, expected: `a slice of the series, from ${image.origin[0]} in steps of ${step}` });
  return undefined;
}

interface Scan {
  path: string;
  files: string[];
  xml: string;
}

async function findScans(folder: string, problems: Problems): Promise<Scan[]> {
  const entries = await readdir(folder, { withFileTypes: true, recursive: true }).catch((cause: unknown) => {
    throw missing(folder, cause);
  });
  const folders = new Map<string, string[]>();
  for (const entry of entries) {
    if (!entry.isFile() || entry.name.startsWith('.')) continue;
    const at = entry.parentPath;
    folders.set(at, [...(folders.get(at) ?? []), join(at, entry.name)]);
  }
  const scans: Scan[] = [];
  for (const [path, files] of [...folders].sort(([a], [b]) => (a < b ? -1 : 1))) {
    const xmls = files.filter((file) => file.toLowerCase().endsWith('.xml')).sort();
    if (xmls.length === 0) continue;
    const slices: string[] = [];
    for (const file of files) if (!xmls.includes(file) && isDicom((await readStart(file, 132)).start)) slices.push(file);
    if (slices.length < 2) continue; // LIDC has chest films beside the CTs
    if (xmls.length > 1) problems.add({ file: path, field: 'XML files', found: `${xmls.length}`, expected: 'one' });
    else scans.push({ path, files: slices.sort(), xml: xmls[0]! });
  }
  return scans;
}

function patientOf(path: string): string {
  const folders = path.split(/[\\/]/).filter((name) => name !== '');
  const name = folders.find((one) => /^LIDC-IDRI-\d+$/i.test(one)) ?? folders[0] ?? dirname(path);
  return name.replaceAll(/[^\w.-]/g, '_');
}
