import { InputError, kernels, type SafeTensor } from '@mdt/core';
import * as tf from '@tensorflow/tfjs-core';

export interface AdamOptions {
  learningRate: number;
  /** Default 0.9. */
  beta1?: number;
  /** Default 0.999. */
  beta2?: number;
  /** Default 1e-8, the paper's and PyTorch's value; TensorFlow.js would take 1e-7. */
  epsilon?: number;
  /** Decoupled weight decay (Loshchilov and Hutter 2019): each step also takes `learningRate · weightDecay` of every weight. Default 0. */
  weightDecay?: number;
  /** Gradients are scaled down together so that their Euclidean norm is at most this. Default: no limit. */
  clipNorm?: number;
}

/** What `train` needs of an optimizer; `adam()` makes one. */
export interface Optimizer {
  /** May be set between steps. */
  learningRate: number;
  /** One step; gradients by the variable's name, as `tf.variableGrads` gives them. The gradients stay the caller's. */
  applyGradients(gradients: Readonly<Record<string, tf.Tensor>>): void;
  /** What it remembers between steps, by name; per-variable parts as `<part>/<variable's name>`. */
  state(): Promise<Map<string, SafeTensor>>;
  /** Takes over what `state` gave, so that the next step is the one that would have followed. */
  restore(state: ReadonlyMap<string, SafeTensor>): void;
  dispose(): void;
}

interface Moments {
  m: tf.Tensor;
  v: tf.Tensor;
}

/**
 * Adam (Kingma and Ba 2015) with bias correction. One fused kernel per variable where the engine has it, else plain
 * TensorFlow.js ops with the same numbers.
 */
export class Adam implements Optimizer {
  learningRate: number;
  readonly #options: Required<Omit<AdamOptions, 'learningRate' | 'clipNorm'>>;
  readonly #clipNorm: number | undefined;
  readonly #moments = new Map<string, Moments>();
  #step = 0;

  constructor({ learningRate, beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8, weightDecay = 0, clipNorm }: AdamOptions) {
    const check = (name: string, value: number, fits: boolean, expected: string) => {
      if (!fits) throw new RangeError(`adam: ${name} is ${value}, expected ${expected}`);
    };
    check('learningRate', learningRate, learningRate > 0 && Number.isFinite(learningRate), 'a number above 0');
    check('beta1', beta1, beta1 >= 0 && beta1 < 1, '0 up to 1');
    check('beta2', beta2, beta2 >= 0 && beta2 < 1, '0 up to 1');
    check('epsilon', epsilon, epsilon > 0, 'a number above 0');
    check('weightDecay', weightDecay, weightDecay >= 0, 'a number of at least 0');
    if (clipNorm !== undefined) check('clipNorm', clipNorm, clipNorm > 0, 'a number above 0');
    this.learningRate = learningRate;
    this.#options = { beta1, beta2, epsilon, weightDecay };
    this.#clipNorm = clipNorm;
  }

  /** Steps taken so far. */
  get steps(): number {
    return this.#step;
  }

  applyGradients(gradients: Readonly<Record<string, tf.Tensor>>): void {
    this.#step += 1;
    const attrs: kernels.AdamAttrs = { ...this.#options, learningRate: this.learningRate, step: this.#step };
    const fused = tf.getKernel(kernels.AdamStep, tf.getBackend()) !== undefined;
    tf.tidy(() => {
      const scale = this.#clipNorm === undefined ? undefined : clipScale(Object.values(gradients), this.#clipNorm);
      for (const [name, gradient] of Object.entries(gradients)) {
        const variable = tf.engine().registeredVariables[name];
        if (!variable) throw new RangeError(`adam: no variable is named '${name}'`);
        const grad = scale ? tf.mul(gradient, scale) : gradient;
        const before = this.#moments.get(name) ?? { m: tf.zerosLike(variable), v: tf.zerosLike(variable) };
        const step = fused ? fusedStep : plainStep;
        const [value, m, v] = step({ value: variable, grad, ...before }, attrs);
        variable.assign(value);
        this.#moments.get(name)?.m.dispose();
        this.#moments.get(name)?.v.dispose();
        this.#moments.set(name, { m: tf.keep(m), v: tf.keep(v) });
      }
    });
  }

  /** The moments, as `m/<variable>` and `v/<variable>`, and the step count. */
  async state(): Promise<Map<string, SafeTensor>> {
    const state = new Map<string, SafeTensor>([['step', { dtype: 'I32', shape: [], data: Int32Array.of(this.#step) }]]);
    for (const [name, moments] of this.#moments) {
      for (const key of ['m', 'v'] as const) {
        const tensor = moments[key];
        state.set(`${key}/${name}`, { dtype: 'F32', shape: tensor.shape, data: Float32Array.from(await tensor.data()) });
      }
    }
    return state;
  }

  /** @throws InputError `invalid-checkpoint` when a moment is missing or of another shape; nothing is changed then */
  restore(state: ReadonlyMap<string, SafeTensor>): void {
    const fail = (what: string): never => {
      throw new InputError('invalid-checkpoint', `adam: ${what}`);
    };
    const step = Number(state.get('step')?.data[0] ?? fail('the state has no step count'));
    const names = [...state.keys()].flatMap((key) => (key.startsWith('m/') ? [key.slice(2)] : []));
    const pairs = names.map((name) => {
      const variable = tf.engine().registeredVariables[name] ?? fail(`no variable is named '${name}'`);
      const [m, v] = (['m', 'v'] as const).map((key) => {
        const tensor = state.get(`${key}/${name}`);
        if (tensor?.shape.join() === variable.shape.join()) return tensor;
        return fail(
          `${key} of '${name}' has the shape ${tensor?.shape.join('x') ?? '(missing)'}, expected ${variable.shape.join('x')}`,
        );
      }) as [SafeTensor, SafeTensor];
      return { name, m, v };
    });
    this.dispose();
    this.#step = step;
    const kept = ({ data, shape }: SafeTensor) =>
      tf.keep(tf.tensor(Float32Array.from(data as Float32Array), [...shape], 'float32'));
    for (const { name, m, v } of pairs) this.#moments.set(name, { m: kept(m), v: kept(v) });
  }

  dispose(): void {
    for (const { m, v } of this.#moments.values()) {
      m.dispose();
      v.dispose();
    }
    this.#moments.clear();
  }
}

export const adam = (options: AdamOptions): Adam => new Adam(options);

type StepInputs = { value: tf.Tensor; grad: tf.Tensor; m: tf.Tensor; v: tf.Tensor };
type StepOutputs = [value: tf.Tensor, m: tf.Tensor, v: tf.Tensor];

function fusedStep(inputs: StepInputs, attrs: kernels.AdamAttrs): StepOutputs {
  return tf.engine().runKernel(kernels.AdamStep, inputs, attrs) as unknown as StepOutputs;
}

function plainStep({ value, grad, m, v }: StepInputs, attrs: kernels.AdamAttrs): StepOutputs {
  const { learningRate, beta1, beta2, epsilon, weightDecay, step } = attrs;
  const nextM = tf.add(tf.mul(m, beta1), tf.mul(grad, 1 - beta1));
  const nextV = tf.add(tf.mul(v, beta2), tf.mul(tf.square(grad), 1 - beta2));
  const denominator = tf.add(tf.div(tf.sqrt(nextV), Math.sqrt(1 - beta2 ** step)), epsilon);
  const move = tf.mul(tf.div(nextM, denominator), learningRate / (1 - beta1 ** step));
  return [tf.sub(weightDecay > 0 ? tf.mul(value, 1 - learningRate * weightDecay) : value, move), nextM, nextV];
}

/** `min(1, limit / norm of all gradients together)` as a scalar. */
function clipScale(gradients: readonly tf.Tensor[], limit: number): tf.Tensor {
  const norm = tf.sqrt(tf.addN(gradients.map((gradient) => tf.sum(tf.square(gradient)))));
  return tf.minimum(tf.div(limit, tf.add(norm, 1e-6)), 1);
}
