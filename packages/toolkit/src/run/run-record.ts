import { execFile } from 'node:child_process';
import { createHash, type Hash } from 'node:crypto';
import { open, readFile } from 'node:fs/promises';
import { availableParallelism, cpus, platform, release, totalmem } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { InputError } from '@mdt/core';
import type { ResolvedConfig } from '../config/config.js';
import { parseDatasetJson } from '../data/dataset-json.js';
import { readInput } from '../data/volume-file.js';
import type { Engine } from '../engine.js';
import type { SplitRecord } from '../experiment.js';
import { readJson, writeFileAtomic } from '../files.js';
import { runFiles } from './run-folder.js';

/** What was there when a training started or went on. */
export interface RunSession {
  /** ISO time. */
  started: string;
  /** Steps that were taken before. */
  step: number;
  code: CodeVersion;
  engine: { name: string; precision: string; threads: number | null };
  machine: Machine;
}

export interface CodeVersion {
  /** Of `@mdt/toolkit`. */
  version: string;
  /** Of the repository that it lies in, where it lies in one; with `+` when files of it were changed. */
  commit: string | null;
}

export interface Machine {
  processor: string;
  cores: number;
  memoryBytes: number;
  system: string;
  node: string;
}

/** `run.json`: how a run came to be. */
export interface RunRecord {
  format: 'mdt-run';
  version: 1;
  seeds: { training: string | number; folds: string | number | null };
  data: { name: string; sha256: string; testSha256: string | null };
  split: { sha256: string; train: number; validation: number; test: number };
  /** One per start; the last is the present one. */
  sessions: RunSession[];
}

const packageFile = fileURLToPath(new URL('../package.json', import.meta.url)).replace(
  /src[/\\]package\.json$/,
  'package.json', // from the sources; the built file lies one folder higher
);

/** Version of this package, and the commit of its repository. */
export async function codeVersion(): Promise<CodeVersion> {
  const { version } = JSON.parse(await readFile(packageFile, 'utf8')) as { version: string };
  const git = async (...args: string[]) =>
    // Without optional locks: a commit that somebody makes meanwhile must not find the index in use.
    (await promisify(execFile)('git', ['--no-optional-locks', '-C', join(packageFile, '..'), ...args])).stdout.trim();
  try {
    // A package in somebody's node_modules would give that project's commit: only a tracked package.json is ours.
    await git('ls-files', '--error-unmatch', packageFile);
    const changed = (await git('status', '--porcelain', '--untracked-files=no')) !== '';
    return { version, commit: `${await git('rev-parse', 'HEAD')}${changed ? '+' : ''}` };
  } catch {
    return { version, commit: null };
  }
}

export const machine = (): Machine => ({
  processor: cpus()[0]?.model.trim() ?? 'unknown',
  cores: availableParallelism(),
  memoryBytes: totalmem(),
  system: `${platform()} ${release()}`,
  node: process.version,
});

const blockBytes = 65_536;
/** Blocks of a file that are hashed; a file of up to so many is hashed whole. */
const blocks = 16;

/**
 * SHA-256 over `dataset.json` and, of every file that it names, the size and contents: whole up to a mebibyte, of larger files sixteen
 * blocks of 64 KiB, the first, the last and those evenly between. That reads a mebibyte per file at most, so it is quick for any
 * amount of data; files made anew, cut off or swapped are seen, and most changes within.
 *
 * @throws InputError `missing-file`
 */
export async function dataHash(dir: string): Promise<{ name: string; sha256: string }> {
  const file = join(dir, 'dataset.json');
  const bytes = await readInput(file);
  const { name, cases } = parseDatasetJson(bytes.toString('utf8'), file);
  const hash = createHash('sha256').update(bytes);
  for (const { image, labels } of cases) {
    for (const part of [image, labels]) await hashFile(hash, part, join(dir, part));
  }
  return { name, sha256: hash.digest('hex') };
}

async function hashFile(hash: Hash, name: string, path: string): Promise<void> {
  const handle = await open(path, 'r').catch((cause: Error) => {
    throw new InputError('missing-file', `${path}: no such file`, { cause });
  });
  try {
    const { size } = await handle.stat();
    hash.update(`\0${name} ${size}\0`);
    const block = Buffer.alloc(blockBytes);
    const wanted = Math.min(blocks, Math.ceil(size / blockBytes));
    for (let i = 0; i < wanted; i++) {
      const isWhole = size <= blocks * blockBytes;
      const position = isWhole ? i * blockBytes : Math.floor((i * (size - blockBytes)) / (blocks - 1));
      const { bytesRead } = await handle.read(block, 0, blockBytes, position);
      hash.update(block.subarray(0, bytesRead));
    }
  } finally {
    await handle.close();
  }
}

/** Writes `run.json` and `split.json`; a run that goes on gets one session more. Says whether the data are other ones than then. */
export async function writeRunRecord(
  out: string,
  { config, split, engine, step }: { config: ResolvedConfig; split: SplitRecord; engine?: Engine; step: number },
): Promise<{ dataChanged: boolean }> {
  const path = join(out, runFiles.record);
  const { data, training } = config;
  const earlier = step > 0 ? await readRunRecord(out).catch(() => undefined) : undefined;
  const { name, sha256 } = await dataHash(data.dir);
  const session: RunSession = {
    started: new Date().toISOString(),
    step,
    code: await codeVersion(),
    engine: {
      name: engine?.name ?? 'as the program chose it',
      precision: engine?.precision ?? training.precision,
      threads: engine?.threads ?? null,
    },
    machine: machine(),
  };
  const record: RunRecord = {
    format: 'mdt-run',
    version: 1,
    seeds: { training: training.seed, folds: data.folds?.seed ?? null },
    data: { name, sha256, testSha256: data.testDir === undefined ? null : (await dataHash(data.testDir)).sha256 },
    split: { sha256: split.sha256, train: split.train.length, validation: split.validation.length, test: split.test.length },
    sessions: [...(earlier?.sessions ?? []), session],
  };
  await writeFileAtomic(join(out, runFiles.split), `${JSON.stringify(split, null, 1)}\n`);
  await writeFileAtomic(path, `${JSON.stringify(record, null, 2)}\n`);
  return { dataChanged: earlier !== undefined && earlier.data.sha256 !== sha256 };
}

/** @throws InputError `missing-file`, `unreadable-file` */
export const readRunRecord = async (dir: string): Promise<RunRecord> => (await readJson(join(dir, runFiles.record))) as RunRecord;
