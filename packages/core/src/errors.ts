/** What kind of input was refused. Stable: programs may switch on it. */
export type InputErrorCode =
  | 'missing-file'
  | 'unreadable-file'
  | 'unsupported-format'
  | 'shape-mismatch'
  | 'unknown-class'
  | 'unknown-option'
  | 'invalid-option'
  | 'invalid-patch-size'
  | 'empty-dataset'
  | 'invalid-data'
  | 'invalid-checkpoint'
  | 'limit-exceeded'
  | 'busy';

/**
 * Input that the caller can mend: says which thing, what was expected and what came.
 * Thrown before anything is written.
 */
export class InputError extends Error {
  override readonly name = 'InputError';
  constructor(
    readonly code: InputErrorCode,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

/** The known name nearest to `given` by edit distance, or undefined when none is near. */
export function nearestName(given: string, known: Iterable<string>): string | undefined {
  let best: string | undefined;
  let bestDistance = Math.max(2, Math.ceil(given.length / 3)) + 1;
  for (const name of known) {
    const distance = editDistance(given.toLowerCase(), name.toLowerCase());
    if (distance < bestDistance) {
      best = name;
      bestDistance = distance;
    }
  }
  return best;
}

/** Throws `unknown-option` for every key of `options` that is not in `known`, naming the nearest known one. */
export function refuseUnknownKeys(where: string, options: object, known: readonly string[]): void {
  for (const key of Object.keys(options)) {
    if (known.includes(key)) continue;
    const near = nearestName(key, known);
    throw new InputError('unknown-option', `${where}: unknown option '${key}'${near ? `, did you mean '${near}'?` : ''}`);
  }
}

/** Levenshtein distance. */
function editDistance(a: string, b: string): number {
  let previous = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const current = [i];
    for (let j = 1; j <= b.length; j++) {
      const change = previous[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1);
      current[j] = Math.min(change, previous[j]! + 1, current[j - 1]! + 1);
    }
    previous = current;
  }
  return previous[b.length]!;
}
