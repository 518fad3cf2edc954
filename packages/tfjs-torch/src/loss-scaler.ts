import { refuseUnknownKeys } from '@mdt/core';
import * as tf from '@tensorflow/tfjs-core';

export interface LossScalerOptions {
  /** Factor of the first steps. Default 65 536. */
  initialScale?: number;
  /** What the factor grows by after `growthInterval` steps without an overflow. Default 2. */
  growthFactor?: number;
  /** What it is multiplied by after an overflow. Default 0.5. */
  backoffFactor?: number;
  /** Steps. Default 2000. */
  growthInterval?: number;
}

const maxScale = 2 ** 24; // beyond it a loss of 1 is lost in float32's own rounding

/**
 * Dynamic loss scaling (Micikevicius et al. 2018, section 3.2). float16 has no numbers between 0 and 6e-8: small gradients would
 * vanish. They are taken of the loss times a factor that is as large as their range allows, and divided by it.
 * bfloat16 has float32's range and needs none of this.
 */
export class LossScaler {
  #scale: number;
  #goodSteps = 0;
  readonly #growthFactor: number;
  readonly #backoffFactor: number;
  readonly #growthInterval: number;

  /** @throws RangeError for factors that would not grow, or not back off */
  constructor(options: LossScalerOptions = {}) {
    refuseUnknownKeys('LossScaler', options, ['initialScale', 'growthFactor', 'backoffFactor', 'growthInterval']);
    const { initialScale = 65_536, growthFactor = 2, backoffFactor = 0.5, growthInterval = 2000 } = options;
    const check = (name: string, value: number, fits: boolean, expected: string) => {
      if (!fits) throw new RangeError(`LossScaler: ${name} is ${value}, expected ${expected}`);
    };
    check('initialScale', initialScale, initialScale > 0 && initialScale <= maxScale, `a number up to ${maxScale}`);
    check('growthFactor', growthFactor, growthFactor > 1 && Number.isFinite(growthFactor), 'more than 1');
    check('backoffFactor', backoffFactor, backoffFactor > 0 && backoffFactor < 1, 'a share between 0 and 1');
    check('growthInterval', growthInterval, Number.isInteger(growthInterval) && growthInterval >= 1, 'a whole number from 1');
    this.#scale = initialScale;
    this.#growthFactor = growthFactor;
    this.#backoffFactor = backoffFactor;
    this.#growthInterval = growthInterval;
  }

  /** The factor of the next step. */
  get scale(): number {
    return this.#scale;
  }

  /** Books a step: whether its gradients were finite. */
  update(finite: boolean): void {
    if (!finite) {
      this.#scale *= this.#backoffFactor;
      this.#goodSteps = 0;
      return;
    }
    this.#goodSteps += 1;
    if (this.#goodSteps < this.#growthInterval) return;
    this.#scale = Math.min(maxScale, this.#scale * this.#growthFactor);
    this.#goodSteps = 0;
  }

  /**
   * As `tf.variableGrads`, with the factor on the way; waits for the gradients.
   *
   * @returns undefined where a gradient overflowed: the step is to be left out, the next one has a smaller factor
   */
  variableGrads(loss: () => tf.Scalar, variables?: tf.Variable[]): { value: tf.Scalar; grads: tf.NamedTensorMap } | undefined {
    const scale = this.#scale;
    const engine = tf.engine();
    const trained = variables ?? Object.values(engine.registeredVariables).filter(({ trainable }) => trainable);
    const factor = tf.scalar(scale);
    let result: { value: tf.Tensor; grads: (tf.Tensor | null)[] };
    try {
      result = engine.gradients(loss, trained, factor, true); // the gradient starts from the factor
    } finally {
      factor.dispose();
    }
    const reached = trained.flatMap(({ name }, i) => (result.grads[i] ? [{ name, grad: result.grads[i] }] : []));
    const finite = tf.tidy(() => reached.every(({ grad }) => Boolean(tf.all(tf.isFinite(grad)).dataSync()[0])));
    this.update(finite);
    const grads: tf.NamedTensorMap = {};
    for (const { name, grad } of reached) {
      if (finite) grads[name] = tf.div(grad, scale);
      grad.dispose();
    }
    if (finite) return { value: result.value as tf.Scalar, grads };
    result.value.dispose();
    return undefined;
  }
}
