import { kernels } from '@mdt/core';
import { add, engine, getBackend, getKernel, ones, Tensor, tensor_util, util, zeros } from '@tensorflow/tfjs-core';

/** What TensorFlow.js's gradient tape records for one op. */
interface TapeNode {
  inputs: Record<string, Tensor>;
  outputs: Tensor[];
  saved?: Tensor[];
  gradient?: (dys: (Tensor | null)[]) => Record<string, () => Tensor>;
}

/** The parts of TensorFlow.js's engine that back-propagation needs. */
interface EngineInternals {
  state: { activeTape: TapeNode[] | null; gradientDepth: number };
  startTape(): void;
  endTape(): void;
  scopedRun<T>(start: () => void, end: () => void, f: () => T): T;
  nextTensorId(): number;
  tidy<T>(nameOrFn: string | (() => T), fn?: () => T): T;
  gradients(f: () => Tensor, xs: Tensor[], dy?: Tensor, allowNoGradients?: boolean): { value: Tensor; grads: Tensor[] };
}

const tensorsIn = (result: unknown): Tensor[] => tensor_util.getTensorsInContainer(result as Tensor);

/** Nodes on a path from `xs` to `y`, in order, with only their inputs on such a path. */
function nodesBetween(tape: readonly TapeNode[], xs: readonly Tensor[], y: Tensor): Set<TapeNode> {
  const fromX = new Set(xs.map((x) => x.id));
  const reached = new Map<TapeNode, string[]>();
  for (const node of tape) {
    const names = Object.keys(node.inputs).filter((name) => fromX.has(node.inputs[name]!.id));
    if (names.length === 0) continue;
    reached.set(node, names);
    for (const output of node.outputs) fromX.add(output.id);
  }
  const toY = new Set([y.id]);
  const nodes = new Set<TapeNode>();
  for (const node of tape.toReversed()) {
    if (!node.outputs.some((output) => toY.has(output.id))) continue;
    for (const input of Object.values(node.inputs)) toY.add(input.id);
    const names = reached.get(node);
    if (!names) continue;
    nodes.add({ ...node, inputs: Object.fromEntries(names.map((name) => [name, node.inputs[name]!])) });
  }
  return nodes; // last op first
}

const disposeSaved = (nodes: Iterable<TapeNode>) => {
  for (const node of nodes) for (const tensor of node.saved ?? []) tensor.dispose();
};

/**
 * Replaces the engine's back-propagation by one that gives each saved tensor and each gradient back as soon as it has been
 * used, and that leaves no tape behind when a kernel throws. The stock loop holds everything until the end: twice the memory
 * in a training step. Gradients of gradients go through the stock loop.
 */
export function installEarlyFreeGradients(): void {
  const tfEngine = engine() as unknown as EngineInternals & { mdtGradients?: boolean };
  if (tfEngine.mdtGradients) return;
  tfEngine.mdtGradients = true;
  const stock = tfEngine.gradients.bind(tfEngine);

  tfEngine.gradients = (f, xs, dy, allowNoGradients = false) => {
    if (tfEngine.state.gradientDepth > 0) return stock(f, xs, dy, allowNoGradients);
    util.assert(xs.length > 0, () => 'gradients() received an empty list of xs.');
    if (dy != null && dy.dtype !== 'float32') throw new Error(`dy must have 'float32' dtype, but has '${dy.dtype}'`);
    const { state } = tfEngine;
    let tape: TapeNode[] = [];
    let y: Tensor | undefined;
    let done = false;
    const firstId = tfEngine.nextTensorId();
    try {
      y = tfEngine.scopedRun(
        () => tfEngine.startTape(),
        () => {
          tape = state.activeTape ?? [];
          tfEngine.endTape();
        },
        () => tfEngine.tidy('forward', f),
      );
      util.assert(y instanceof Tensor, () => 'The result y returned by f() must be a tensor.');
      // Only tf.variableGrads allows for no gradients; what it looks at afterwards is looked at here, where y can be given back.
      if (allowNoGradients) checkLoss(y);
      const nodes = nodesBetween(tape, xs, y);
      if (!allowNoGradients && nodes.size === 0) {
        throw new Error(
          'Cannot compute gradient of y=f(x) with respect to x. Make sure that the f you passed encloses all operations that lead from x to y.',
        );
      }
      const used = new Set([...nodes].flatMap((node) => node.saved ?? []));
      for (const node of tape) for (const tensor of node.saved ?? []) if (!used.has(tensor)) tensor.dispose();
      const value = y;
      const grads = tfEngine.tidy('backward', () => backward(tfEngine, nodes, xs, value, dy));
      if (grads.every((gradient) => gradient == null)) throw new Error(unconnected);
      done = true;
      return { value, grads };
    } finally {
      disposeSaved(tape);
      if (!done) for (const tensor of tensorsIn(y)) if (tensor.id > firstId && !tensor.kept) tensor.dispose();
      state.activeTape = null;
    }
  };
}

const unconnected =
  'Cannot find a connection between any variable and the result of the loss function y=f(x). Please make sure the operations ' +
  'that use variables are inside the function f passed to minimize().';

function checkLoss(y: Tensor): void {
  util.assert(
    y.rank === 0,
    () => `The f passed in variableGrads(f) must return a scalar, but it returned a rank-${y.rank} tensor`,
  );
}

function backward(
  tfEngine: EngineInternals,
  nodes: Set<TapeNode>,
  xs: readonly Tensor[],
  y: Tensor,
  dy: Tensor | undefined,
): Tensor[] {
  const gradients = new Map<number, Tensor>([[y.id, dy ?? ones(y.shape)]]);
  const wanted = new Set(xs.map((x) => x.id));
  const reached = new Set<number>(); // by a scope `Reach`: its zeros would lie beside the whole tape, so they come last
  for (const node of nodes) {
    const dys = node.outputs.map((output) => gradients.get(output.id) ?? null);
    if (!node.gradient) throw new Error(`Cannot compute gradient: gradient function not found for ${nameOf(node)}.`);
    const reaches = nameOf(node) === kernels.Reach;
    if (reaches) for (const input of Object.values(node.inputs)) reached.add(input.id);
    const names = Object.keys(node.inputs).filter((name) => !reaches || name === '0');
    const results = tfEngine.tidy(() => {
      const closures = reaches ? { '0': () => dys[0]! } : node.gradient!(dys);
      return names.map((name) => {
        const closure = closures[name];
        if (!closure)
          throw new Error(`Cannot backprop through input ${name}. Available gradients found: ${Object.keys(closures)}.`);
        // A handle of our own: the closure may give back dy, a saved tensor, the caller's, or one tensor for two inputs.
        return tfEngine.tidy(closure).clone();
      });
    });
    names.forEach((name, i) => {
      const x = node.inputs[name]!;
      const dx = results[i]!;
      if (dx.dtype !== 'float32')
        throw new Error(`${nameOf(node)}: the gradient of input ${name} must be float32, but is '${dx.dtype}'`);
      if (!util.arraysEqual(dx.shape, x.shape)) {
        throw new Error(`${nameOf(node)}: the gradient of input ${name} has shape '${dx.shape}', the input has '${x.shape}'`);
      }
      const before = gradients.get(x.id);
      gradients.set(x.id, before ? sum(before, dx) : dx);
      if (before && before !== dy) {
        before.dispose();
        dx.dispose();
      }
    });
    disposeSaved([node]);
    for (const output of node.outputs) {
      const gradient = gradients.get(output.id);
      if (gradient && gradient !== dy && !wanted.has(output.id)) gradient.dispose();
    }
  }
  return xs.map((x) => gradients.get(x.id) ?? (reached.has(x.id) ? zeros(x.shape) : undefined)!);
}

/**
 * Their sum, in the memory of `a` where that is nobody else's: at full resolution a third tensor would be the most of a step. The loop
 * serves other backends as well.
 */
function sum(a: Tensor, b: Tensor): Tensor {
  if (getKernel(kernels.AddAct, getBackend()) === undefined) return add(a, b);
  return engine().runKernel(kernels.AddAct, { a, b }, { activation: 'linear', givesUp: true });
}

const nameOf = (node: TapeNode): string => (node as { kernelName?: string }).kernelName ?? 'op';
