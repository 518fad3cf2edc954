import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

/** OpenMP's idle threads go on spinning for some milliseconds: longer than that nobody runs between two turns. */
const settleMilliseconds = 30;

/** Threads of every contestant. */
export const threads = 2;

/** One side of a comparison: ours, or a peer. */
export interface Contestant {
  name: string;
  /** One repetition; gives its seconds, start-up and transport not counted, and in words what came out, to compare by eye. */
  run(): Promise<{ seconds: number; outcome?: string }>;
  /** Peak memory, where it has a process of its own. */
  memory?(): Promise<Memory>;
  /** Lines to print under the table, asked for after the last repetition. */
  notes?(): Promise<string[]>;
  close(): Promise<void>;
}

/** The most memory of a process that ever was in use. */
export interface Memory {
  /** What the system gave the process. */
  residentBytes: number;
  /** What the tensors of its engine held, where the process knows. */
  allocatedBytes?: number;
}

/** One question: ours beside its peers. Contestants start when the case does. */
export interface Case {
  /** Subject, dimension, size, direction, precision, as in `conv3d 36-36 32x64x64 forward bfloat16`. */
  name: string;
  ours: () => Promise<Contestant>;
  /** Ours in other ways, by the case's name of each: they take turns with the rest, so that a slow peer runs once for all. */
  further?: Readonly<Record<string, () => Promise<Contestant>>>;
  peers: readonly (() => Promise<Contestant>)[];
}

/** A row of the results: times in seconds, memory in bytes. */
export interface Row {
  case: string;
  /** Our least time. */
  ours: number;
  /** The peer's least time. */
  peer: number;
  peerName: string;
  /** ours / peer: below 1 we are faster. */
  ratio: number;
  /** (largest − least) / least of the ratios of the single repetitions. */
  spread: number;
  repetitions: number;
  /** Resident memory of the processes. */
  oursPeakBytes?: number;
  peerPeakBytes?: number;
  /** What the tensors of the engines held. */
  oursAllocatedBytes?: number;
  peerAllocatedBytes?: number;
}

/** The row that the times of interleaved repetitions give. */
export function rowOf(name: string, peerName: string, ours: readonly number[], peer: readonly number[]): Row {
  if (ours.length === 0 || ours.length !== peer.length) {
    throw new RangeError(`rowOf: ${ours.length} times of ours and ${peer.length} of ${peerName}, expected as many, at least one`);
  }
  const ratios = ours.map((seconds, i) => seconds / peer[i]!);
  const [best, bestPeer, least] = [Math.min(...ours), Math.min(...peer), Math.min(...ratios)];
  return {
    case: name,
    ours: best,
    peer: bestPeer,
    peerName,
    ratio: best / bestPeer,
    spread: (Math.max(...ratios) - least) / least,
    repetitions: ours.length,
  };
}

/** Runs one case: all contestants warm up, then take turns, so that a slow moment of the machine meets all of them. */
async function runCase(
  { name, ours, further = {}, peers }: Case,
  { repeat, warmUp }: { repeat: number; warmUp: number },
): Promise<Row[]> {
  const contestants: Contestant[] = [];
  const own = [name, ...Object.keys(further)];
  try {
    for (const start of [ours, ...Object.values(further), ...peers]) contestants.push(await start());
    const times = contestants.map((): number[] => []);
    for (let i = -warmUp; i < repeat; i++) {
      for (const [c, contestant] of contestants.entries()) {
        await setTimeout(settleMilliseconds);
        const { seconds, outcome } = await contestant.run();
        if (i >= 0) times[c]!.push(seconds);
        const turn = i < 0 ? 'warm-up' : `${i + 1}/${repeat}`;
        const who = `${own[c] ?? name}: ${contestant.name}`;
        process.stderr.write(`  ${who} ${turn} ${duration(seconds)}${outcome ? `, ${outcome}` : ''}\n`);
      }
    }
    const memory = await Promise.all(contestants.map((contestant) => contestant.memory?.()));
    for (const contestant of contestants) for (const line of (await contestant.notes?.()) ?? []) console.log(line);
    return own.flatMap((caseName, o) =>
      contestants.slice(own.length).map((peer, p) => ({
        ...rowOf(caseName, peer.name, times[o]!, times[own.length + p]!),
        ...memoryOf('ours', memory[o]),
        ...memoryOf('peer', memory[own.length + p]),
      })),
    );
  } finally {
    await Promise.all(contestants.map((contestant) => contestant.close()));
  }
}

function memoryOf(side: 'ours' | 'peer', memory: Memory | undefined): Partial<Row> {
  if (!memory) return {};
  const { residentBytes, allocatedBytes } = memory;
  return { [`${side}PeakBytes`]: residentBytes, ...(allocatedBytes && { [`${side}AllocatedBytes`]: allocatedBytes }) };
}

/** A contestant in this process: `work` is awaited; typed arrays in, typed arrays out. */
export function inProcess(name: string, work: () => unknown): () => Promise<Contestant> {
  return async () => ({
    name,
    async run() {
      const started = performance.now();
      await work();
      return { seconds: (performance.now() - started) / 1000 };
    },
    close: async () => {},
  });
}

export interface BenchmarkOptions {
  /** Counted repetitions of each contestant; `--repeat` overrides it. Default 5. */
  repeat?: number;
  /** Repetitions before, which are not counted. Default 1. */
  warmUp?: number;
}

/**
 * Runs cases, prints a table and writes `results/NAME.json`. Options on the command line: `--only TEXT`, once or more, runs the
 * cases whose name holds a text (the others keep their rows in the file), `--repeat N`, `--dry` writes nothing.
 */
export async function benchmark(name: string, cases: readonly Case[], options: BenchmarkOptions = {}): Promise<Row[]> {
  const { values } = parseArgs({
    options: {
      only: { type: 'string', multiple: true, default: [''] },
      repeat: { type: 'string' },
      dry: { type: 'boolean', default: false },
    },
    allowPositionals: false,
    strict: false,
  });
  const repeat = values.repeat === undefined ? (options.repeat ?? 5) : Number(values.repeat);
  if (!(Number.isInteger(repeat) && repeat >= 1))
    throw new RangeError(`--repeat is ${values.repeat}, expected an integer from 1`);
  const wanted = values.only as string[];
  const chosen = cases.filter((one) => wanted.some((text) => one.name.includes(text)));
  if (chosen.length === 0) throw new RangeError(`--only ${wanted.join(' --only ')}: no case holds it; there are ${names(cases)}`);
  const rows: Row[] = [];
  for (const one of chosen) rows.push(...(await runCase(one, { repeat, warmUp: options.warmUp ?? 1 })));
  console.log(`\n${formatRows(rows)}`);
  if (!values.dry) console.log(`\nwritten: benchmarks/results/${name}.json`);
  if (!values.dry) writeResults(name, rows, cases);
  return rows;
}

const names = (cases: readonly Case[]): string => cases.map((one) => `'${one.name}'`).join(', ');

/** Puts `rows` in the place of the rows of their cases; rows of cases that are no longer there go. */
function writeResults(name: string, rows: readonly Row[], cases: readonly Case[]): void {
  const path = fileURLToPath(new URL(`results/${name}.json`, import.meta.url));
  let before: Row[] = [];
  try {
    before = JSON.parse(readFileSync(path, 'utf8')) as Row[];
  } catch {
    // the first run of this benchmark
  }
  const fresh = new Set(rows.map((row) => row.case));
  const known = cases.flatMap((one) => [one.name, ...Object.keys(one.further ?? {})]);
  const merged = known.flatMap((one) => (fresh.has(one) ? rows : before).filter((row) => row.case === one));
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, `${JSON.stringify(merged, null, 2)}\n`);
}

/** The rows as a table. */
export function formatRows(rows: readonly Row[]): string {
  const gigabytes = (bytes: number | undefined) => (bytes === undefined ? '' : `${(bytes / 1e9).toFixed(2)} GB`);
  const table = [
    ['case', 'ours', 'peer', 'ours / peer', 'spread', 'our peak', "peer's peak", 'our tensors', "peer's tensors", 'peer'],
    ...rows.map((row) => [
      row.case,
      duration(row.ours),
      duration(row.peer),
      row.ratio.toFixed(3),
      `${(100 * row.spread).toFixed(0)} %`,
      gigabytes(row.oursPeakBytes),
      gigabytes(row.peerPeakBytes),
      gigabytes(row.oursAllocatedBytes),
      gigabytes(row.peerAllocatedBytes),
      row.peerName,
    ]),
  ];
  const widths = table[0]!.map((_, column) => Math.max(...table.map((cells) => cells[column]!.length)));
  const aligned = (cell: string, column: number) =>
    column === 0 || column === widths.length - 1 ? cell.padEnd(widths[column]!) : cell.padStart(widths[column]!);
  return table.map((cells) => cells.map(aligned).join('  ').trimEnd()).join('\n');
}

/** Seconds for people: three digits and a unit. */
export function duration(seconds: number): string {
  const [factor, unit] = seconds >= 1 ? [1, 's'] : seconds >= 1e-3 ? [1e3, 'ms'] : [1e6, 'µs'];
  return `${(seconds * factor).toPrecision(3)} ${unit}`;
}
