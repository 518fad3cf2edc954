import { InputError } from '@mdt/core';
import { type FrocCurve, frocCurve } from './froc.js';
import { orderByScore } from './outcome-table.js';
import { checkWeights, type Resampled } from './resample.js';

/** A finding: `annotations.csv` and `annotations_excluded.csv` of LUNA16. */
export interface Luna16Finding {
  seriesUid: string;
  /** Millimetres, in any order that all points share. */
  center: readonly [number, number, number];
  /** Millimetres; a negative one stands for 10, as in the official script. */
  diameter: number;
}

/** A line of a results file. */
export interface Luna16Candidate {
  seriesUid: string;
  center: readonly [number, number, number];
  probability: number;
}

export interface Luna16Input {
  /** The scans that are judged, with or without findings; `seriesuids.csv`. */
  seriesUids: readonly string[];
  annotations: readonly Luna16Finding[];
  /** Findings that count neither as found nor as missed. */
  excluded?: readonly Luna16Finding[];
  results: readonly Luna16Candidate[];
  /** False positives per scan at which the curve is read. Default 1/8 … 8. */
  rates?: readonly number[];
}

/** The official free-response ROC; `score` is the CPM. */
export interface Luna16Metrics extends FrocCurve, Resampled<Luna16Metrics> {
  /** Candidates that hit an excluded finding, or a nodule that a better one had hit. */
  readonly numIgnored: number;
}

/**
 * LUNA16's rules (Setio et al. 2017 and the challenge's evaluation script): a candidate hits a nodule when its centre lies closer
 * than the nodule's radius; a nodule counts with the best of its hits, the others are ignored; candidates on excluded findings
 * are ignored; all others are false positives. Findings and candidates of other scans are left out.
 *
 * @throws InputError `invalid-data` with the row
 */
export function evaluateLuna16({ seriesUids, annotations, excluded = [], results, rates }: Luna16Input): Luna16Metrics {
  const indexOf = new Map(seriesUids.map((uid, i) => [uid, i]));
  if (seriesUids.length === 0) throw new InputError('empty-dataset', 'evaluateLuna16: no scans');
  if (indexOf.size !== seriesUids.length) {
    throw new InputError('invalid-data', `evaluateLuna16: ${seriesUids.length - indexOf.size} scans are listed twice`);
  }
  checkRows('annotations', annotations, 'diameter');
  checkRows('excluded', excluded, 'diameter');
  checkRows('results', results, 'probability');
  const candidatesOf = bySeries(results, indexOf);
  const includedOf = bySeries(annotations, indexOf);
  const excludedOf = bySeries(excluded, indexOf);
  const scores: number[] = [];
  const hits: number[] = [];
  const scans: number[] = [];
  const nodules = new Int32Array(seriesUids.length);
  let numIgnored = 0;
  seriesUids.forEach((_, scan) => {
    const candidates = candidatesOf[scan]!;
    const used = new Uint8Array(candidates.length);
    const counted = new Set<number>();
    for (const nodule of includedOf[scan]!) {
      nodules[scan]!++;
      let best = -1;
      candidates.forEach((candidate, i) => {
        if (!within(candidate, nodule)) return;
        used[i] = 1;
        if (best < 0 || candidate.probability > candidates[best]!.probability) best = i;
      });
      if (best < 0) continue;
      counted.add(best);
      scores.push(candidates[best]!.probability);
      hits.push(1);
      scans.push(scan);
    }
    for (const finding of excludedOf[scan]!) {
      candidates.forEach((candidate, i) => {
        if (within(candidate, finding)) used[i] = 1;
      });
    }
    candidates.forEach(({ probability }, i) => {
      if (used[i]) return;
      scores.push(probability);
      hits.push(0);
      scans.push(scan);
    });
    numIgnored += used.reduce((sum, mark) => sum + mark, 0) - counted.size;
  });
  const order = orderByScore(Float64Array.from(scores));
  const measure = (weights?: ArrayLike<number>): Luna16Metrics => {
    const weight = (i: number) => weights?.[scans[i]!] ?? 1;
    const kept = order.filter((i) => weight(i) > 0);
    const ranked = {
      scores: Float64Array.from(kept, (i) => scores[i]!),
      hits: Float64Array.from(kept, (i) => hits[i]! * weight(i)),
      counts: Float64Array.from(kept, weight),
      positives: nodules.reduce((sum, count, scan) => sum + count * (weights?.[scan] ?? 1), 0),
    };
    const numScans = weights ? Array.from(weights).reduce((sum, w) => sum + w, 0) : seriesUids.length;
    return {
      ...frocCurve(ranked, numScans, rates),
      numIgnored,
      patients: seriesUids,
      resampled: (drawn) => measure(checkWeights('resampled', drawn, seriesUids.length)),
    };
  };
  return measure();
}

function within(candidate: Luna16Candidate, { center, diameter }: Luna16Finding): boolean {
  const radius = (diameter < 0 ? 10 : diameter) / 2;
  let distance = 0;
  for (let d = 0; d < 3; d++) distance += (center[d]! - candidate.center[d]!) ** 2;
  return distance < radius ** 2;
}

function bySeries<T extends { seriesUid: string }>(rows: readonly T[], indexOf: ReadonlyMap<string, number>): T[][] {
  const groups: T[][] = Array.from({ length: indexOf.size }, () => []);
  for (const row of rows) {
    const scan = indexOf.get(row.seriesUid);
    if (scan !== undefined) groups[scan]!.push(row);
  }
  return groups;
}

function checkRows<K extends string>(
  where: string,
  rows: readonly ({ center: readonly number[] } & Record<K, number>)[],
  key: K,
) {
  rows.forEach((row, i) => {
    if (row.center.length === 3 && row.center.every(Number.isFinite) && Number.isFinite(row[key])) return;
    const text = `evaluateLuna16: ${where}: row ${i} has centre [${row.center.join(', ')}] and ${key} ${row[key]}`;
    throw new InputError('invalid-data', `${text}, expected finite numbers`);
  });
}
