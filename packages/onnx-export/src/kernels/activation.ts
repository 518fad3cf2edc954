import { kernels } from '@mdt/core';
import { cannotExport, type KernelCall } from '../graph-builder.js';

const plain: Record<string, string> = { relu: 'Relu', elu: 'Elu', sigmoid: 'Sigmoid', tanh: 'Tanh' };

/** Applies the activation that a fused kernel names. */
export function activated(call: KernelCall, name: string, activation: unknown): string {
  const { builder, attrs } = call;
  if (activation === undefined || activation === 'linear') return name;
  if (activation === 'leakyRelu') return builder.node('LeakyRelu', [name], { alpha: { float: kernels.leakySlope } });
  if (activation === 'leakyrelu') return builder.node('LeakyRelu', [name], { alpha: { float: Number(attrs.leakyreluAlpha) } });
  if (activation === 'relu6') return builder.node('Clip', [name, builder.floats([0], []), builder.floats([6], [])]);
  const op = plain[String(activation)];
  return op ? builder.node(op, [name]) : cannotExport(call, `no ONNX op for the activation '${String(activation)}'`);
}
