/**
 * An abort signal that Ctrl-C and SIGTERM set. The first one asks the work to stop after its step; a second one ends the process
 * at once, which leaves no half-written file, since all files appear whole or not at all.
 */
export function interruptSignal(onFirst?: () => void): { signal: AbortSignal; release(): void } {
  const controller = new AbortController();
  const stop = () => {
    if (controller.signal.aborted) process.exit(130);
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
