import { openPatchTask } from '../loader/patch-task.js';
import { openPrepareTask } from '../prepare/prepare-task.js';

/** What workers can do: each opens its inputs once and then does jobs. `atCase` tells which case is worked on. */
export const tasks = { prepare: openPrepareTask, patches: openPatchTask } as const;
export type TaskName = keyof typeof tasks;
