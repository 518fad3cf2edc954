import { createHash } from 'node:crypto';
import { InputError, perAxis, type Random, refuseUnknownKeys, rng, type Volume, volume } from '@mdt/core';
import type { LidcMark, LidcReading } from '../layouts/lidc/lidc-xml.js';
import { lidcTable, type TableMark, type TableScan } from './lidc-table.js';
import { depthIn, eachPlace, noduleMask, noduleShape } from './nodule-shape.js';
import { outlinesOf } from './outline.js';
import { addNoise, type Chest, drawVessels, makeChest } from './phantom.js';

export interface SynthLidcOptions {
  /** How many scans. */
  cases: number;
  /** Voxels per axis, z y x; `spacing` says how much of a chest they show. Default 128x256x256. */
  size?: readonly [number, number, number];
  /**
   * Millimetres per voxel, z y x. Default: that of the scan whose nodules are taken, its pixels enlarged so that all of its 512 by 512
   * are shown.
   */
  spacing?: readonly [number, number, number];
  seed?: string | number;
}

/** One scan with the marks of its four readers. */
export interface SynthScan {
  id: string;
  /** Hounsfield units. */
  image: Volume<3, Int16Array>;
  reading: LidcReading;
}

const readers = 4;
type Point = readonly [number, number, number];

/**
 * CT-like chests with nodules drawn from the marks of LIDC-IDRI: for each scan one of its 1018 is drawn, and from that how many nodules
 * there are, where they lie, and how large, how lumpy and how malignant each of its readers found each, and who did not see it. The
 * images are made: body, lungs, heart, ribs, spine, vessels, noise. A nodule that does not fit into the volume is left out.
 *
 * @throws InputError `invalid-option`
 */
export async function* synthLidc(options: SynthLidcOptions): AsyncGenerator<SynthScan> {
  refuseUnknownKeys('synthLidc', options, ['cases', 'size', 'spacing', 'seed']);
  const { cases, size = [128, 256, 256], spacing, seed = 0 } = options;
  const expect = (good: boolean, text: string) => {
    if (!good) throw new InputError('invalid-option', `synthLidc: ${text}`);
  };
  expect(Number.isInteger(cases) && cases >= 1, `cases is ${cases}, expected a whole number from 1 on`);
  expect(
    size.length === 3 && size.every((n) => Number.isInteger(n) && n >= 8),
    `size is ${size}, expected 3 whole numbers from 8 on`,
  );
  expect(
    spacing === undefined || (spacing.length === 3 && spacing.every((v) => v > 0)),
    `spacing is ${spacing}, expected 3 positive numbers`,
  );
  const table = await lidcTable();
  const random = rng(seed).fork('lidc');
  const order = random.fork('scans').choose(table.length, table.length);
  for (let i = 0; i < cases; i++) {
    const own = random.fork(i);
    const source = table[order[i % table.length]!]!;
    const pixel = (source.spacing[1] * 512) / Math.max(size[1], size[2]);
    yield scan(`SYNTH-${String(i + 1).padStart(4, '0')}`, source, {
      size,
      spacing: spacing ?? [source.spacing[0], pixel, pixel],
      random: own,
    });
  }
}

function scan(
  id: string,
  source: TableScan,
  { size, spacing, random }: { size: Point; spacing: Point; random: Random },
): SynthScan {
  const extent = size.map((n, d) => n * spacing[d]!) as unknown as Point;
  const chest = makeChest(random.fork('chest'), extent);
  const [nz, ny, nx] = size;
  const data = new Int16Array(nz * ny * nx);
  let at = 0;
  for (let z = 0; z < nz; z++)
    for (let y = 0; y < ny; y++)
      for (let x = 0; x < nx; x++) data[at++] = chest.at(z * spacing[0], y * spacing[1], x * spacing[2]);
  drawVessels(data, chest, size, spacing);

  const uid = (name: string) =>
    `2.25.${BigInt(
      `0x${createHash('sha256')
        .update(`${random.fork('uid').next()} ${id} ${name}`)
        .digest('hex')
        .slice(0, 31)}`,
    )}`;
  const origin: Point = [-extent[0] / 2, -extent[1] / 2, -extent[2] / 2];
  const marks: LidcMark[] = [];
  const taken: { centre: Point; reach: number }[] = [];
  for (const [n, nodule] of source.nodules.entries()) {
    const own = random.fork(`nodule ${n}`);
    const sides = meanOf(nodule.map((mark) => mark.sides));
    const centre = placeNodule(own, nodule, sides, { chest, size, spacing, extent, taken });
    if (!centre) continue;
    taken.push({ centre, reach: Math.max(...sides) / 2 });
    const first = meanOf(nodule.map(({ place }) => place));
    const ratings = nodule[0]!.ratings;
    const shape = noduleShape(own, ratings);
    drawNodule(data, { shape, centre, sides, ratings }, size, spacing);
    // Who marked it: the readers of the table, in an order of their own for each nodule; a fifth mark is a second one of somebody.
    const order = own.choose(readers, readers);
    for (const [k, mark] of nodule.entries()) {
      // Where readers put it, in millimetres of the scan in the table.
      const shift = mark.place.map((p, d) => (p - first[d]!) * (d === 0 ? source.spacing[0] * nz : source.spacing[1] * 512));
      const where = centre.map((c, d) => c + Math.max(-sides[d]! / 2, Math.min(sides[d]! / 2, shift[d]!))) as unknown as Point;
      const half = mark.sides.map((side) => side / 2) as unknown as Point;
      const mask = noduleMask(shape, where, half, size, spacing);
      if (!mask) continue;
      const contours = outlinesOf(mask, (z) => ({
        z: Number((origin[0] + z * spacing[0]).toFixed(6)),
        sliceUid: uid(`slice ${z}`),
      }));
      marks.push({ reader: order[k % readers]!, id: `${n + 1}-${k + 1}`, ratings: mark.ratings, contours });
    }
  }
  addNoise(data, random.fork('noise'), size, random.fork('dose').uniform(12, 35));
  return {
    id,
    image: volume({ dim: 3, data, size, spacing: perAxis(3, spacing), origin: perAxis(3, origin) }),
    reading: { studyUid: uid('study'), seriesUid: uid('series'), readers, marks },
  };
}

const meanOf = (rows: readonly (readonly number[])[]): Point =>
  [0, 1, 2].map((d) => rows.reduce((sum, row) => sum + row[d]!, 0) / rows.length) as unknown as Point;

/** A place in the lungs near the one in the table, clear of the border and of other nodules; undefined where there is none. */
function placeNodule(
  random: Random,
  nodule: readonly TableMark[],
  sides: Point,
  {
    chest,
    size,
    spacing,
    extent,
    taken,
  }: { chest: Chest; size: Point; spacing: Point; extent: Point; taken: readonly { centre: Point; reach: number }[] },
): Point | undefined {
  const largest = [0, 1, 2].map((d) => Math.max(...nodule.map((mark) => mark.sides[d]!)) / 2 + sides[d]! / 4);
  const margin = largest.map((reach, d) => reach + 2 * spacing[d]!);
  if (margin.some((reach, d) => 2 * reach >= (size[d]! - 1) * spacing[d]!)) return undefined;
  const wanted = meanOf(nodule.map(({ place }) => place)).map((share, d) => share * extent[d]!);
  const middle = chest.lungCentre(wanted[2]!);
  for (let tries = 0; tries < 60; tries++) {
    // From the wanted place towards the middle of the lung, then anywhere about it.
    const pull = Math.min(1, tries / 20);
    const centre = wanted.map((v, d) => {
      const jitter = tries < 20 ? 0 : random.normal(0, extent[d]! * 0.12);
      const free = v + (middle[d]! - v) * pull + jitter;
      return Math.max(margin[d]!, Math.min((size[d]! - 1) * spacing[d]! - margin[d]!, free));
    }) as unknown as Point;
    const reach = Math.max(...sides) / 2;
    const apart = taken.every((other) => Math.hypot(...centre.map((v, d) => v - other.centre[d]!)) > (reach + other.reach) * 1.5);
    if (apart && chest.isLung(...centre)) return centre;
  }
  return undefined;
}

/** Fills a nodule: part-solid ones are fainter, calcified ones brighter, and voxels on the surface lie between it and the lung. */
function drawNodule(
  data: Int16Array,
  {
    shape,
    centre,
    sides,
    ratings,
  }: { shape: ReturnType<typeof noduleShape>; centre: Point; sides: Point; ratings: TableMark['ratings'] },
  size: Point,
  spacing: Point,
): void {
  const { texture = 5, calcification = 6 } = ratings;
  const value = -650 + (texture - 1) * 172 + (calcification < 6 ? 250 : 0); // ground glass to solid, in Hounsfield units
  const half = sides.map((side) => side / 2) as unknown as Point;
  const from = centre.map((c, d) => Math.max(0, Math.floor((c - half[d]!) / spacing[d]!) - 1)) as unknown as Point;
  const to = centre.map((c, d) => Math.min(size[d]!, Math.ceil((c + half[d]!) / spacing[d]!) + 2)) as unknown as Point;
  const edge = Math.min(...spacing) / Math.max(...half);
  eachPlace(from, to, (z, y, x) => {
    const depth = depthIn(shape, centre, half, [z * spacing[0], y * spacing[1], x * spacing[2]]);
    const share = Math.max(0, Math.min(1, 0.5 + depth / edge));
    if (share === 0) return;
    const i = (z * size[1] + y) * size[2] + x;
    data[i] = Math.round(data[i]! + (value - data[i]!) * share);
  });
}
