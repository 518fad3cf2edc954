import { InputError, type InputErrorCode } from '@mdt/core';

/** Something in a file that is not as it has to be. */
export interface FieldProblem {
  code: InputErrorCode;
  file: string;
  /** Where in it, such as `cases[3].labels` or `row 5: y1`. */
  field: string;
  expected: string;
  found: string;
}

/** A problem in words. */
export const problemText = ({ file, field, expected, found }: Omit<FieldProblem, 'code'>): string =>
  `${file}: ${field === '' ? '' : `${field} is `}${found}, expected ${expected}`;

/** A value of a file, in a problem. */
export const shown = (value: unknown): string =>
  value === undefined ? 'missing' : (JSON.stringify(value) ?? String(value)).slice(0, 80);

/** Thrown where reading cannot go on, after what is wrong was said to a list of problems. */
export class StoppedReading extends Error {}

/**
 * Takes what a reader finds wrong. By itself it throws the first problem as an InputError. With a function to collect them, the
 * reader leaves out what is wrong and reads on, so that all problems are seen at once.
 */
export class Problems {
  constructor(private readonly collect?: (problem: FieldProblem) => void) {}

  /** @throws InputError where nothing collects problems */
  add({ code = 'invalid-data', ...problem }: Omit<FieldProblem, 'code'> & { code?: InputErrorCode }): void {
    if (!this.collect) throw new InputError(code, problemText(problem));
    this.collect({ code, ...problem });
  }

  /** What `work` on a file gives; undefined where it threw an InputError, which is a problem of that file. */
  async attempt<T>(file: string, work: () => T | Promise<T>): Promise<T | undefined> {
    try {
      return await work();
    } catch (error) {
      this.addError(file, error);
      return undefined;
    }
  }

  /**
   * What several pieces of work give, each on a file and independent of the others: where some fail, all of them are problems.
   *
   * @throws StoppedReading afterwards
   */
  async all<const W extends readonly (readonly [file: string, work: () => unknown])[]>(
    ...works: W
  ): Promise<{ -readonly [K in keyof W]: Awaited<ReturnType<W[K][1]>> }> {
    const results: unknown[] = [];
    let hasFailed = false;
    for (const [file, work] of works) {
      try {
        results.push(await work());
      } catch (error) {
        this.addError(file, error);
        hasFailed = true;
      }
    }
    if (hasFailed) throw new StoppedReading();
    return results as { -readonly [K in keyof W]: Awaited<ReturnType<W[K][1]>> };
  }

  private addError(file: string, error: unknown): void {
    if (!this.collect) throw error;
    if (error instanceof StoppedReading) return;
    // Options are not of the file: their fault ends the work. What is no InputError is ours.
    if (!(error instanceof InputError) || error.code === 'invalid-option' || error.code === 'unknown-option') throw error;
    const [text, expected = 'a file that can be read'] = error.message.replace(`${file}: `, '').split(/, expected (.*)$/s);
    this.add({ code: error.code, file, field: error.code === 'missing-file' ? 'file' : 'content', expected, found: text! });
  }
}
