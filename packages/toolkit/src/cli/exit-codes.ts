import { InputError, type InputErrorCode } from '@mdt/core';
import { TrainingDivergedError } from '../train/diverged.js';

/** What a shell sees; stable. */
export const exitCodes = {
  ok: 0,
  failed: 1,
  usage: 2,
  data: 3,
  checkpoint: 4,
  diverged: 5,
  resources: 6,
  busy: 8,
  interrupted: 130,
} as const;

const byCode: Record<InputErrorCode, number> = {
  'unknown-option': exitCodes.usage,
  'invalid-option': exitCodes.usage,
  'invalid-patch-size': exitCodes.usage,
  'missing-file': exitCodes.data,
  'unreadable-file': exitCodes.data,
  'unsupported-format': exitCodes.data,
  'shape-mismatch': exitCodes.data,
  'unknown-class': exitCodes.data,
  'empty-dataset': exitCodes.data,
  'invalid-data': exitCodes.data,
  'limit-exceeded': exitCodes.data,
  'invalid-checkpoint': exitCodes.checkpoint,
  busy: exitCodes.busy,
};

/** The exit code for an error; 1 for one that is our fault. */
export function exitCodeOf(error: unknown): number {
  if (error instanceof TrainingDivergedError) return exitCodes.diverged;
  if (error instanceof InputError) return byCode[error.code];
  if (isOutOfResources(error)) return exitCodes.resources;
  return exitCodes.failed;
}

/** Whether the system had no more to give: a full or read-only disk, a file too large, a failing device. */
export function isOutOfResources(error: unknown): error is NodeJS.ErrnoException {
  return (
    error instanceof Error && ['ENOSPC', 'EDQUOT', 'EFBIG', 'EIO', 'EROFS'].includes((error as NodeJS.ErrnoException).code ?? '')
  );
}
