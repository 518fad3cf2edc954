import type { Reading } from '@mdt/detectors';
import * as tf from '@tensorflow/tfjs-core';

/** What TensorFlow.js's engine keeps of the computation under way: its gradient tape and its scopes. */
interface Recording {
  activeTape: { saved?: tf.Tensor[] }[] | null;
  gradientDepth: number;
  activeScope: unknown;
  scopeStack: unknown[];
}

interface Engine {
  state: Recording;
  startScope(name: string): void;
  endScope(result?: tf.TensorContainer): void;
}

/**
 * `tf.variableGrads` for a loss that reads values on its way. The reads are awaited: the event loop is free, and whatever else
 * uses TensorFlow.js meanwhile finds the engine as if nothing were under way, for the tape and the scopes of the work are taken
 * out of it until the values are there. What the work leaves is freed.
 */
export async function readingGradients(
  work: Reading<tf.Scalar>,
  variables: tf.Variable[],
): Promise<{ value: tf.Scalar; grads: Record<string, tf.Tensor> }> {
  const engine = tf.engine() as unknown as Engine;
  const tape: Recording['activeTape'] = [];
  const own: Recording = { activeTape: tape, gradientDepth: 1, activeScope: null, scopeStack: [] };
  const inside = <T>(f: () => T): T => {
    const others = recordingOf(engine.state);
    Object.assign(engine.state, own);
    try {
      return f();
    } finally {
      Object.assign(own, recordingOf(engine.state));
      Object.assign(engine.state, others);
    }
  };
  inside(() => engine.startScope('reading'));
  let result: { value: tf.Scalar; grads: Record<string, tf.Tensor> } | undefined;
  try {
    let step = inside(() => work.next());
    while (!step.done) {
      const values = await Promise.all(step.value.map((tensor) => tensor.data() as Promise<Float32Array>));
      step = inside(() => work.next(values));
    }
    const loss = step.value;
    own.gradientDepth = 0;
    // Back-propagation goes by the tape that its function leaves: here the one that is recorded already.
    const whole = () => {
      engine.state.activeTape = tape;
      return loss;
    };
    result = inside(() => tf.variableGrads(whole, variables)) as typeof result;
    return result!;
  } finally {
    inside(() => {
      work.return(undefined as never);
      for (const { saved } of tape) tf.dispose(saved);
      engine.endScope(result as tf.TensorContainer | undefined);
    });
  }
}

const recordingOf = ({ activeTape, gradientDepth, activeScope, scopeStack }: Recording): Recording => ({
  activeTape,
  gradientDepth,
  activeScope,
  scopeStack,
});
