import { elementTypes, type Graph, type Initializer, type Node } from '@mdt/onnx';

/** Constants of a resize say where cells lie: onnxruntime wants them in float32 whatever the type of the images. */
const floatInputs: Readonly<Record<string, readonly number[]>> = { Resize: [1, 2] };

/**
 * The same graph in 16-bit floats: constants are rounded, inputs and outputs stay float32 and are cast. A value beyond 65504, the greatest
 * of the type, becomes it, so that no constant is infinite.
 */
export function halfGraph(graph: Graph): Graph {
  const isFloat = new Set(graph.initializers.filter(({ type }) => type === 'float32').map(({ name }) => name));
  const kept = new Set<string>();
  for (const { op, inputs } of graph.nodes) for (const place of floatInputs[op] ?? []) kept.add(inputs[place] ?? '');
  const half = (name: string) => `${name}_half`;
  const floatIn = new Set(graph.inputs.filter(({ type }) => type === 'float32').map(({ name }) => name));
  const casts: Node[] = [...floatIn].map((name) => cast(name, half(name), elementTypes.float16));
  const renamed = (op: string, name: string, place: number): string => {
    if (floatIn.has(name)) return half(name);
    return isFloat.has(name) && kept.has(name) && !floatInputs[op]?.includes(place) ? half(name) : name;
  };
  const floatOut = new Set(graph.outputs.filter(({ type }) => type === 'float32').map(({ name }) => name));
  const nodes = graph.nodes.map(
    (node): Node => ({
      ...node,
      inputs: node.inputs.map((name, place) => (floatOut.has(name) ? half(name) : renamed(node.op, name, place))),
      outputs: node.outputs.map((name) => (floatOut.has(name) ? half(name) : name)),
      ...(node.op === 'Cast' && node.attributes.to === elementTypes.float32 && { attributes: { to: elementTypes.float16 } }),
    }),
  );
  const used = new Set(nodes.flatMap(({ inputs }) => inputs));
  const initializers = graph.initializers.flatMap((tensor): Initializer[] => {
    if (tensor.type !== 'float32') return [tensor];
    if (!kept.has(tensor.name)) return [halved(tensor, tensor.name)];
    return [tensor, ...(used.has(half(tensor.name)) ? [halved(tensor, half(tensor.name))] : [])];
  });
  const back = [...floatOut].map((name) => cast(half(name), name, elementTypes.float32));
  return { ...graph, nodes: [...casts, ...nodes, ...back], initializers };
}

const cast = (from: string, to: string, type: number): Node => ({
  op: 'Cast',
  name: `cast_${to}`,
  inputs: [from],
  outputs: [to],
  attributes: { to: type },
});

function halved({ data, ...tensor }: Initializer, name: string): Initializer {
  return { ...tensor, name, type: 'float16', data: Uint16Array.from(data as Float32Array, halfBits) };
}

const scratch = new DataView(new ArrayBuffer(4));

/** Bits of the 16-bit float nearest to a number (IEEE 754 binary16, ties to even). */
export function halfBits(value: number): number {
  scratch.setFloat32(0, Math.min(Math.max(value, -65504), 65504)); // not a number stays what it is
  const bits = scratch.getUint32(0);
  const sign = (bits >>> 16) & 0x8000;
  const exponent = ((bits >>> 23) & 0xff) - 112; // 127 − 15
  const mantissa = bits & 0x7fffff;
  if (Number.isNaN(value)) return 0x7e00;
  if (exponent <= -11) return sign; // less than half of the least number above 0
  // Below the normal numbers the leading one is written out, and more bits go.
  const shift = exponent > 0 ? 13 : 14 - exponent;
  const whole = exponent > 0 ? (exponent << 23) | mantissa : mantissa | 0x800000;
  const rest = whole & ((1 << shift) - 1);
  const tie = 1 << (shift - 1);
  const kept = Math.floor(whole / 2 ** shift);
  return sign | (kept + (rest > tie || (rest === tie && kept % 2 === 1) ? 1 : 0));
}
