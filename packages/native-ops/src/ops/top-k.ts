/** Indices of the `k` best scores in their order of appearance. Of equal scores the first are taken; NaN is worst. */
export function topIndices(scores: ArrayLike<number>, k: number): Int32Array {
  const sorted = Float64Array.from(scores).sort(); // NaN last
  let numbers = sorted.length;
  while (numbers > 0 && Number.isNaN(sorted[numbers - 1]!)) numbers--;
  const last = k <= numbers && k > 0 ? sorted[numbers - k]! : Number.NaN; // the worst score that is taken
  let first = numbers; // of the sorted scores that are better than `last`
  while (first > 0 && !(sorted[first - 1]! <= last)) first--;
  let doubtful = k - (numbers - first); // how many of the scores that equal `last` are taken
  const taken = new Int32Array(Math.min(k, scores.length));
  let count = 0;
  for (let i = 0; i < scores.length && count < taken.length; i++) {
    const score = scores[i]!;
    const isSure = Number.isNaN(last) ? !Number.isNaN(score) : score > last;
    const isDoubtful = Number.isNaN(last) ? Number.isNaN(score) : score === last;
    if (isSure || (isDoubtful && doubtful-- > 0)) taken[count++] = i;
  }
  return taken;
}

/** The rows of `width` values at `indices`. */
export function pickRows<A extends Float32Array | Float64Array | Int32Array>(rows: A, indices: Int32Array, width: number): A {
  const picked = new (rows.constructor as new (n: number) => A)(indices.length * width);
  indices.forEach((index, i) => {
    for (let k = 0; k < width; k++) picked[i * width + k] = rows[index * width + k]!;
  });
  return picked;
}
