import { InputError, type InputErrorCode } from '@mdt/core';

/** What goes to a worker: a job with its number. */
export interface JobMessage {
  id: number;
  job: unknown;
}

/** What comes back: the case that is worked on, the result, or an error. */
export type WorkerMessage =
  | { kind: 'case'; caseId: string }
  | { kind: 'done'; id: number; result: unknown }
  | { kind: 'failed'; id: number; error: SentError };

export interface SentError {
  name: string;
  message: string;
  stack: string;
  code?: InputErrorCode;
  caseId?: string;
}

export function sentError(reason: unknown, caseId: string | undefined): SentError {
  const error = reason instanceof Error ? reason : new Error(String(reason));
  const { name, message, stack = '' } = error;
  return {
    ...{ name, message, stack },
    ...(error instanceof InputError && { code: error.code }),
    ...(caseId !== undefined && { caseId }),
  };
}

/** The error as it was thrown in a worker, with that worker's stack; its message names the case. */
export function receivedError({ name, message, stack, code, caseId }: SentError, worker: number): Error {
  const named = caseId === undefined || message.includes(`case '${caseId}'`) ? message : `case '${caseId}': ${message}`;
  const error = code === undefined ? new Error(named) : new InputError(code, named);
  if (code === undefined && name !== 'Error') Object.defineProperty(error, 'name', { value: name, configurable: true });
  error.stack = `${stack.replace(message, () => named)}\n    in worker ${worker}${caseId === undefined ? '' : ` at case '${caseId}'`}`;
  return Object.assign(error, caseId === undefined ? {} : { caseId });
}
