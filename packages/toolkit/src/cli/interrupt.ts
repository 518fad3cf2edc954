/** A terminal signals the whole process group, and npm passes its signal on: one key press arrives more than once. */
const sameKeyPressMs = 1000;

/**
 * An abort signal that Ctrl-C and SIGTERM set. The first one asks the work to stop after its step; one that comes later ends the
 * process at once, which leaves no half-written file, since all files appear whole or not at all.
 */
export function interruptSignal(onFirst?: () => void): { signal: AbortSignal; release(): void } {
  const controller = new AbortController();
  let first = 0;
  const stop = () => {
    if (controller.signal.aborted) {
      if (performance.now() - first > sameKeyPressMs) process.exit(130);
      return;
    }
    first = performance.now();
    controller.abort(new Error('interrupted'));
    onFirst?.();
  };
  process.on('SIGINT', stop);
  process.on('SIGTERM', stop);
  return {
    signal: controller.signal,
    release() {
      process.off('SIGINT', stop);
      process.off('SIGTERM', stop);
    },
  };
}
