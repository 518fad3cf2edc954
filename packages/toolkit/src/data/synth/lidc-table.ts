import { fileURLToPath } from 'node:url';
import { numbersOf, readCsv } from '../layouts/csv.js';
import { characteristics, type Ratings } from '../layouts/lidc/lidc-xml.js';

/** How one reader marked one nodule. */
export interface TableMark {
  /** Its centre as shares of the image, from the first slice, row and column. */
  place: number[];
  /** Sides of its box, millimetres, z y x. */
  sides: number[];
  ratings: Ratings;
}

export interface TableScan {
  /** Millimetres per voxel, z y x. */
  spacing: [number, number, number];
  /** Marks of each nodule. */
  nodules: TableMark[][];
}

/** The table in the package, which scripts/lidc-table.py makes of the annotations of LIDC-IDRI (Armato et al. 2011, CC BY 3.0). */
const path = (): string =>
  fileURLToPath(
    new URL(import.meta.url.endsWith('.ts') ? '../../../data/lidc-marks.csv' : '../data/lidc-marks.csv', import.meta.url),
  );

let table: Promise<TableScan[]> | undefined;

/** The 1018 scans of LIDC-IDRI with every mark of their readers. */
export function lidcTable(): Promise<TableScan[]> {
  table ??= readTable(path());
  return table;
}

async function readTable(file: string): Promise<TableScan[]> {
  const scans = new Map<string, TableScan>();
  const nodules = new Map<string, TableMark[]>();
  for (const line of await readCsv(file, ['scan', 'pixel', 'slice', 'nodule', 'z', 'depth', ...characteristics])) {
    const { row } = line;
    const number = (column: string) => numbersOf(line, [column])![0]!;
    const pixel = number('pixel');
    const scan: TableScan = scans.get(row.scan!) ?? { spacing: [number('slice'), pixel, pixel], nodules: [] };
    scans.set(row.scan!, scan);
    if (row.nodule === '0') continue;
    const key = `${row.scan} ${row.nodule}`;
    const marks = nodules.get(key) ?? [];
    if (marks.length === 0) scan.nodules.push(marks);
    nodules.set(key, marks);
    marks.push({
      place: ['z', 'y', 'x'].map(number),
      sides: ['depth', 'height', 'width'].map(number),
      ratings: Object.fromEntries(characteristics.map((name) => [name, number(name)])),
    });
  }
  return [...scans.values()];
}
