import { InputError } from '@mdt/core';
import { readInput } from '../input-file.js';

/** Longest table that is read. */
const limit = 2 ** 28;

/**
 * Reads a CSV file (RFC 4180): a header, then a row per line; a byte order mark and either line end are fine.
 *
 * @param columns names that have to be there
 * @throws InputError `invalid-data` that names file and line
 */
export async function readCsv(
  path: string,
  columns: readonly string[],
  { separator = ',' }: { separator?: ',' | ';' } = {},
): Promise<Record<string, string>[]> {
  const file = await readInput(path);
  if (file.length > limit) throw new InputError('unsupported-format', `${path}: ${file.length} bytes, expected at most ${limit}`);
  const [header, ...rows] = parseCsv(file.toString('utf8').replace(/^\uFEFF/, ''), path, separator);
  const absent = columns.filter((name) => !header?.cells.includes(name));
  if (!header || absent.length > 0) {
    throw new InputError(
      'invalid-data',
      `${path}: no column ${absent.join(', ')}, found ${header?.cells.join(', ') ?? 'nothing'}`,
    );
  }
  return rows.map(({ cells, line }) => {
    if (cells.length !== header.cells.length) {
      throw new InputError('invalid-data', `${path}: line ${line} has ${cells.length} cells, expected ${header.cells.length}`);
    }
    const row: Record<string, string> = Object.create(null);
    for (const [i, name] of header.cells.entries()) row[name] = cells[i]!;
    return row;
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

/** A number of a row; anything else is refused by column and value. */
export function numberOf(row: Record<string, string>, column: string, where: string): number {
  const value = row[column]?.trim() ? Number(row[column]) : Number.NaN;
  if (Number.isFinite(value)) return value;
  throw new InputError('invalid-data', `${where}: ${column} is '${row[column] ?? ''}', expected a number`);
}

/** Rows by the value of one column, each with the words for its place in errors. */
export function rowsBy(column: string, rows: readonly Record<string, string>[], path: string) {
  const groups = new Map<string, { row: Record<string, string>; where: string }[]>();
  for (const [i, row] of rows.entries()) {
    const key = row[column]!;
    const group = groups.get(key) ?? [];
    if (group.length === 0) groups.set(key, group);
    group.push({ row, where: `${path}: row ${i + 1}` });
  }
  return groups;
}
