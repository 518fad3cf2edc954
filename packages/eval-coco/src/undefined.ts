/** A number, or null where there is nothing that it could be computed from. */
export type Defined = number | null;

/** Why each null is null, by the name of the number; empty when all are numbers. */
export type Reasons = Readonly<Record<string, string>>;

/** Mean of the numbers among `values`; null when there is none. */
export function meanDefined(values: Iterable<Defined>): Defined {
  let sum = 0;
  let count = 0;
  for (const value of values) {
    if (value === null || Number.isNaN(value)) continue;
    sum += value;
    count++;
  }
  return count > 0 ? sum / count : null;
}

/** The reasons of those numbers that are null. */
export function reasonsFor(values: Readonly<Record<string, Defined>>, why: (name: string) => string): Reasons {
  return Object.fromEntries(Object.entries(values).flatMap(([name, value]) => (value === null ? [[name, why(name)]] : [])));
}
