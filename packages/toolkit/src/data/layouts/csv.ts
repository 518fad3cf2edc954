import { InputError } from '@mdt/core';
import { readInput } from '../input-file.js';
import { Problems } from '../problems.js';

/** Longest table that is read. */
const limit = 2 ** 28;

export interface CsvOptions {
  separator?: ',' | ';';
  /** Takes lines of another length than the header's, which are left out. */
  problems?: Problems;
}

/** A row of a table, and the words for its place in errors. */
export interface CsvRow {
  row: Record<string, string>;
  file: string;
  /** `row 5`, where the one below the header is row 1. */
  field: string;
}

/**
 * Reads a CSV file (RFC 4180): a header, then a row per line; a byte order mark and either line end are fine.
 *
 * @param columns names that have to be there
 * @throws InputError `invalid-data` that names file and line
 */
export async function readCsv(
  path: string,
  columns: readonly string[],
  { separator = ',', problems = new Problems() }: CsvOptions = {},
): Promise<CsvRow[]> {
  const file = await readInput(path);
  if (file.length > limit) throw new InputError('unsupported-format', `${path}: ${file.length} bytes, expected at most ${limit}`);
  const [header, ...rows] = parseCsv(file.toString('utf8').replace(/^\uFEFF/, ''), path, separator);
  const absent = columns.filter((name) => !header?.cells.includes(name));
  if (!header || absent.length > 0) {
    throw new InputError(
      'invalid-data',
      `${path}: no column ${absent.join(', ')} among ${header?.cells.join(', ') ?? 'none'}, expected ${columns.join(', ')}`,
    );
  }
  return rows.flatMap(({ cells, line }, i) => {
    if (cells.length !== header.cells.length) {
      const [found, expected] = [`of ${cells.length} cells`, `${header.cells.length}`];
      problems.add({ file: path, field: `line ${line}`, found, expected });
      return [];
    }
    const row: Record<string, string> = Object.create(null);
    for (const [k, name] of header.cells.entries()) row[name] = cells[k]!;
    return [{ row, file: path, field: `row ${i + 1}` }];
  });
}

function parseCsv(text: string, path: string, separator: ',' | ';'): { cells: string[]; line: number }[] {
  const rows: { cells: string[]; line: number }[] = [];
  const cell = new RegExp(`("(?:[^"]|"")*"|[^"${separator}\\r\\n]*)(${separator}|\\r?\\n|$)`, 'y');
  let cells: string[] = [];
  let line = 1;
  let start = 1;
  while (cell.lastIndex < text.length) {
    const at = cell.lastIndex;
    const match = cell.exec(text);
    if (!match) throw new InputError('invalid-data', `${path}: line ${line} has a quote that is not closed, or text behind one`);
    const [whole, raw, end] = match as unknown as [string, string, string];
    cells.push(raw.startsWith('"') ? raw.slice(1, -1).replaceAll('""', '"') : raw.trim());
    line += whole.split('\n').length - 1;
    if (end !== separator) {
      if (cells.length > 1 || cells[0] !== '') rows.push({ cells, line: start });
      cells = [];
      start = line;
      if (end === '' && cell.lastIndex === at) break;
    }
  }
  return rows;
}

/** The numbers in some columns of a row; undefined where one is none, after all that are none were said. */
export function numbersOf(
  { row, file, field }: CsvRow,
  columns: readonly string[],
  problems: Problems = new Problems(),
): number[] | undefined {
  const values = columns.map((column) => (row[column]?.trim() ? Number(row[column]) : Number.NaN));
  for (const [i, value] of values.entries()) {
    if (Number.isFinite(value)) continue;
    const column = columns[i]!;
    problems.add({ file, field: `${field}: ${column}`, found: `'${row[column] ?? ''}'`, expected: 'a number' });
  }
  return values.every(Number.isFinite) ? values : undefined;
}

/** Rows by the value of one column. */
export function rowsBy(column: string, rows: readonly CsvRow[]): Map<string, CsvRow[]> {
  const groups = new Map<string, CsvRow[]>();
  for (const one of rows) {
    const key = one.row[column]!;
    const group = groups.get(key) ?? [];
    if (group.length === 0) groups.set(key, group);
    group.push(one);
  }
  return groups;
}
