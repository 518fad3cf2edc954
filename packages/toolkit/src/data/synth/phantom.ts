import type { Random } from '@mdt/core';

type Point = readonly [number, number, number];

/** Hounsfield units. */
const tissue = { air: -1000, lung: -850, fat: -100, muscle: 45, blood: 40, bone: 450 } as const;

/** A chest: where its organs lie, in millimetres from the first voxel's centre. */
export interface Chest {
  /** Hounsfield units of a place, without vessels, nodules and noise. */
  at(z: number, y: number, x: number): number;
  isLung(z: number, y: number, x: number): boolean;
  /** The middle of the lung that is nearest to a place. */
  lungCentre(x: number): Point;
  /** Branches of the vessels, each a tapered tube. */
  vessels: readonly Vessel[];
}

export interface Vessel {
  from: Point;
  to: Point;
  /** Millimetres at both ends. */
  radii: readonly [number, number];
}

/** A chest that fills a field of view, its organs drawn a little larger or smaller from the random stream. */
export function makeChest(random: Random, extent: Point): Chest {
  const vary = () => random.uniform(0.94, 1.06);
  const [depth, height, width] = extent;
  const [cy, cx] = [height / 2, width / 2];
  const body = { y: 0.4 * height * vary(), x: 0.46 * width * vary() };
  const lung = { y: 0.27 * height * vary(), x: 0.165 * width * vary(), z: 0.56 * depth };
  const centres = [-1, 1].map((side): Point => [depth / 2, cy, cx + side * 0.22 * width * vary()]);
  const heart = { y: cy - 0.06 * height, x: cx + 0.06 * width, ry: 0.13 * height * vary(), rx: 0.13 * width * vary() };
  const spine = { y: cy + 0.26 * height, r: 0.07 * Math.min(height, width) * vary() };
  const ribs = random.uniform(0, 1);

  const isLung = (z: number, y: number, x: number): boolean => {
    const along = (z - depth / 2) / lung.z;
    if (Math.abs(along) >= 1) return false;
    const scale = Math.sqrt(1 - along * along);
    const inHeart = ((y - heart.y) / heart.ry) ** 2 + ((x - heart.x) / heart.rx) ** 2 < 1 - 0.5 * Math.abs(along);
    return !inHeart && centres.some(([, , c]) => ((y - cy) / (lung.y * scale)) ** 2 + ((x - c) / (lung.x * scale)) ** 2 < 1);
  };
  return {
    isLung,
    at(z, y, x) {
      const q = ((y - cy) / body.y) ** 2 + ((x - cx) / body.x) ** 2;
      if (q >= 1) return tissue.air;
      if (isLung(z, y, x)) return tissue.lung;
      if (Math.hypot(y - spine.y, x - cx) < spine.r) return tissue.bone;
      // Ribs lie aslant, every 25 mm along the body.
      const slant = (z / 25 + ribs + Math.abs(Math.atan2(x - cx, y - cy)) / Math.PI) % 1;
      if (q > 0.62 && q < 0.74) return slant < 0.35 ? tissue.bone : tissue.muscle;
      return q > 0.8 ? tissue.fat : tissue.muscle;
    },
    lungCentre: (x) => (Math.abs(x - centres[0]![2]) < Math.abs(x - centres[1]![2]) ? centres[0]! : centres[1]!),
    vessels: centres.flatMap((centre) => tree(random, [depth / 2, cy, (centre[2] + cx) / 2], extent)),
  };
}

/** Vessels that branch outwards from the root of a lung. */
function tree(random: Random, root: Point, extent: Point): Vessel[] {
  const vessels: Vessel[] = [];
  const grow = (from: Point, direction: Point, radius: number, level: number): void => {
    const length = random.uniform(0.08, 0.14) * Math.min(...extent) * 0.85 ** level;
    const bent = direction.map((v) => v + random.normal(0, 0.35));
    const norm = Math.hypot(...bent) || 1;
    const to = from.map((v, d) => v + (bent[d]! / norm) * length) as unknown as Point;
    vessels.push({ from, to, radii: [radius, radius * 0.8] });
    if (level === 5) return;
    for (let i = 0; i < 2; i++)
      grow(to, bent.map((v) => v / norm + random.normal(0, 0.5)) as unknown as Point, radius * 0.75, level + 1);
  };
  for (let i = 0; i < 4; i++) grow(root, [random.normal(), random.normal(), random.normal()], 3, 0);
  return vessels;
}

/** Draws the vessels into the lungs of a volume. */
export function drawVessels(data: Int16Array, chest: Chest, size: Point, spacing: Point): void {
  const [nz, ny, nx] = size;
  for (const { from, to, radii } of chest.vessels) {
    const length = Math.hypot(...to.map((v, d) => v - from[d]!));
    const steps = Math.max(1, Math.ceil(length / (0.5 * Math.min(...spacing))));
    for (let step = 0; step <= steps; step++) {
      const share = step / steps;
      const radius = radii[0] + (radii[1] - radii[0]) * share;
      const at = from.map((v, d) => v + (to[d]! - v) * share) as unknown as Point;
      const low = at.map((v, d) => Math.max(0, Math.round((v - radius) / spacing[d]!)));
      const high = at.map((v, d) => Math.min(size[d]! - 1, Math.round((v + radius) / spacing[d]!)));
      for (let z = low[0]!; z <= Math.min(high[0]!, nz - 1); z++)
        for (let y = low[1]!; y <= Math.min(high[1]!, ny - 1); y++)
          for (let x = low[2]!; x <= Math.min(high[2]!, nx - 1); x++) {
            const place = [z * spacing[0], y * spacing[1], x * spacing[2]] as const;
            const away = Math.hypot(place[0] - at[0], place[1] - at[1], place[2] - at[2]);
            if (away <= Math.max(radius, 0.5 * Math.min(...spacing)) && chest.isLung(...place))
              data[(z * ny + y) * nx + x] = tissue.blood;
          }
    }
  }
}

/** Adds the noise of a scanner: normal, a little alike in neighbouring pixels of a slice. */
export function addNoise(data: Int16Array, random: Random, [nz, ny, nx]: Point, deviation: number): void {
  const row = new Float32Array(nx);
  for (let line = 0; line < nz * ny; line++) {
    let before = random.normal();
    for (let x = 0; x < nx; x++) {
      const own = random.normal();
      const noise = deviation * (0.8 * own + 0.5 * before + 0.33 * row[x]!); // 0.8² + 0.5² + 0.33² = 1
      before = own;
      row[x] = own;
      const value = data[line * nx + x]! + noise;
      data[line * nx + x] = Math.max(-1024, Math.min(3071, Math.round(value)));
    }
  }
}
