import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  type BoxArray,
  type Dim,
  type GroundTruth,
  InputError,
  type PerAxis,
  readSafetensors,
  type SafeTensor,
  writeSafetensors,
} from '@mdt/core';
import type { Geometry, PredictedCandidates, SliceCandidates } from '@mdt/predictor';
import { fileNames, readJson, writeFileAtomic } from '../files.js';

/** What networks found in one case before consolidation, and what is there. */
export interface RawCase<D extends Dim = Dim> {
  id: string;
  /** The run whose networks these are: its fold; null where all runs predicted together. */
  fold: number | null;
  geometry: Geometry<D>;
  /** Of slices, where 2D detectors predicted volumes. */
  candidates: PredictedCandidates<D> | SliceCandidates;
  groundTruth: GroundTruth<D>;
}

interface RawIndex {
  format: 'mdt-raw-predictions';
  version: 1;
  /** Of the data set. */
  name: string;
  classes: readonly string[];
  dim: Dim;
  cases: (Pick<RawCase, 'id' | 'fold' | 'geometry'> & {
    file: string;
    models: number;
    views: number;
    tiles: number;
    before: readonly number[];
    size: readonly number[];
    /** Of slices that 2D detectors predicted. */
    mergeIouThreshold?: number;
  })[];
}

/** The content of a folder of raw predictions. */
export interface RawPredictions {
  readonly name: string;
  readonly classes: readonly string[];
  readonly dim: Dim;
  readonly ids: readonly string[];
  /** Reads the cases one after the other. */
  cases(): AsyncGenerator<RawCase, void, void>;
}

const indexFile = 'raw.json';

/** Writes raw predictions case by case; `close` writes the index last, so that a folder with one is whole. */
export function rawWriter(dir: string, { name, classes, dim }: Pick<RawIndex, 'name' | 'classes' | 'dim'>) {
  const cases: RawIndex['cases'] = [];
  const used: string[] = [];
  return {
    async add({ id, fold, geometry, candidates, groundTruth }: RawCase): Promise<void> {
      used.push(id);
      const file = `${fileNames(used).at(-1)!}.safetensors`;
      const { models, views, tiles, before, size } = candidates;
      await writeFileAtomic(join(dir, file), writeSafetensors(tensorsOf(candidates, groundTruth)));
      const merge = 'slices' in candidates && { mergeIouThreshold: candidates.mergeIouThreshold };
      cases.push({ id, fold, geometry, file, models, views, tiles, before: [...before], size: [...size], ...merge });
    },
    async close(): Promise<void> {
      const index: RawIndex = { format: 'mdt-raw-predictions', version: 1, name, classes, dim, cases };
      await writeFileAtomic(join(dir, indexFile), `${JSON.stringify(index, null, 1)}\n`);
    },
  };
}

/** @throws InputError `missing-file` where there are none, `invalid-data` where they are not whole */
export async function openRawPredictions(dir: string): Promise<RawPredictions> {
  const path = join(dir, indexFile);
  const index = (await readJson(path)) as Partial<RawIndex>;
  if (index.format !== 'mdt-raw-predictions' || index.version !== 1 || !Array.isArray(index.cases)) {
    throw new InputError('invalid-data', `${path}: not an index of raw predictions of version 1`);
  }
  const { name, classes, dim, cases } = index as RawIndex;
  return {
    ...{ name, classes, dim, ids: cases.map(({ id }) => id) },
    async *cases() {
      for (const { id, fold, geometry, file, models, views, tiles, before, size, mergeIouThreshold } of cases) {
        if (/[/\\]/.test(file)) throw new InputError('invalid-data', `${path}: the file of case '${id}' lies elsewhere: ${file}`);
        const bytes = await readFile(join(dir, file)).catch((cause: Error) => {
          throw new InputError('missing-file', `${join(dir, file)}: no raw predictions of case '${id}'`, { cause });
        });
        const { candidates, groundTruth } = fromTensors(readSafetensors(bytes, join(dir, file)).tensors, dim, join(dir, file));
        const places = { models, views, tiles, before: before as PerAxis, size: size as PerAxis };
        const merge = mergeIouThreshold !== undefined && { mergeIouThreshold };
        yield { id, fold, geometry, groundTruth, candidates: { ...candidates, ...places, ...merge } as RawCase['candidates'] };
      }
    },
  };
}

type Arrays = Partial<Pick<SliceCandidates, 'slices'>> &
  Pick<PredictedCandidates, 'dim' | 'boxes' | 'scores' | 'labels' | 'patchIds' | 'centerWeights' | 'overlapCounts'>;

/** Numbers as they are: what is read back consolidates to the same boxes, bit by bit. */
function tensor(data: ArrayLike<number>, width = 1): SafeTensor {
  const shape = width > 1 ? [data.length / width, width] : [data.length];
  if (data instanceof Int32Array) return { dtype: 'I32', shape, data: new Int32Array(data) };
  if (data instanceof Float64Array) return { dtype: 'F64', shape, data: new Float64Array(data) };
  return { dtype: 'F32', shape, data: new Float32Array(data) };
}

function tensorsOf(candidates: Arrays, { dim, boxes, labels }: GroundTruth): Map<string, SafeTensor> {
  const width = 2 * candidates.dim;
  return new Map([
    ['boxes', tensor(candidates.boxes, width)],
    ['scores', tensor(candidates.scores)],
    ['labels', tensor(candidates.labels)],
    ['patchIds', tensor(candidates.patchIds)],
    ['centerWeights', tensor(candidates.centerWeights)],
    ['overlapCounts', tensor(candidates.overlapCounts)],
    ['truth/boxes', tensor(boxes, 2 * dim)],
    ['truth/labels', tensor(labels)],
    ...(candidates.slices ? [['slices', tensor(candidates.slices)] as const] : []),
  ]);
}

function fromTensors(
  tensors: ReadonlyMap<string, SafeTensor>,
  dim: Dim,
  file: string,
): { candidates: Arrays; groundTruth: GroundTruth } {
  const dataOf = (name: string, ...dtypes: readonly SafeTensor['dtype'][]) => {
    const found = tensors.get(name);
    if (found && dtypes.includes(found.dtype)) return found.data;
    throw new InputError('invalid-data', `${file}: the tensor '${name}' is missing or not ${dtypes.join(' or ')}`);
  };
  const floats = (name: string) => dataOf(name, 'F32', 'F64') as BoxArray;
  const integers = (name: string) => dataOf(name, 'I32') as Int32Array;
  return {
    candidates: {
      ...(tensors.has('slices') ? { dim: 2 as const, slices: integers('slices') } : { dim }),
      ...{ boxes: floats('boxes'), scores: floats('scores'), labels: integers('labels'), patchIds: integers('patchIds') },
      ...{ centerWeights: floats('centerWeights'), overlapCounts: floats('overlapCounts') },
    },
    groundTruth: { dim, boxes: floats('truth/boxes'), labels: integers('truth/labels') },
  };
}
