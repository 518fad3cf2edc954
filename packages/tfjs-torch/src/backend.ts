import { type BackendValues, type DataId, type DataType, engine, KernelBackend, type TensorInfo } from '@tensorflow/tfjs-core';
import type { Binding } from './binding.js';
import { typedArray, utf8 } from './values.js';

/** What a tensor becomes: shape and type are known before the kernel has run. */
export interface OutputSpec {
  shape: readonly number[];
  dtype: DataType;
}

/** An attribute of a native kernel; a list is sent with its length. */
export type NativeAttr = number | boolean | readonly number[];

/** The type in which convolutions and matrix products run. */
export type Precision = 'float32' | 'bfloat16' | 'float16';

/** By the numbers that native code knows them by. */
export const precisions: readonly Precision[] = ['float32', 'bfloat16', 'float16'];

/** What a native kernel took. */
export interface KernelTime {
  kernel: string;
  seconds: number;
  calls: number;
  /** Tensors that it copied only because their layout or type did not suit it. */
  copies: number;
  copiedBytes: number;
}

const profileFields = 4; // numbers that the binding gives per kernel

interface TensorRecord {
  /** Index into the native tensor table; −1 where `strings` holds the values. */
  slot: number;
  dtype: DataType;
  refCount: number;
  /** The least and the greatest of a few integers that came from JavaScript: indices are checked at the call with it. */
  range?: readonly [low: number, high: number];
  /** UTF-8 bytes: strings stay in JavaScript, and kernels on them run on backend cpu. */
  strings?: Uint8Array[];
}

const dtypeCodes: Partial<Record<DataType, number>> = { float32: 0, int32: 1, bool: 2, complex64: 3 };

/** The number by which native code knows a type of elements. */
export function dtypeCode(dtype: DataType, who: string): number {
  const code = dtypeCodes[dtype];
  if (code === undefined) throw new TypeError(`${who}: native tensors are float32, int32, bool or complex64, got ${dtype}`);
  return code;
}

const maxKnown = 1024; // integers of which the range is noted

/** Numbers that one call may send: attributes and the slots of inputs and outputs. Untouched pages of it take no memory. */
const blockLength = 1 << 20;

/**
 * The TensorFlow.js backend `torch`: kernels run in order on one native thread. JavaScript gives out the slots of the native
 * tensor table and knows every shape, so that it runs ahead and waits only to read.
 */
export class TorchBackend extends KernelBackend {
  private readonly data = new Map<DataId, TensorRecord>();
  private readonly block = new Float64Array(new SharedArrayBuffer(8 * blockLength)); // native code keeps its address
  private readonly opcodes = new Map<string, number>();
  private readonly freeSlots: number[] = [];
  private numSlots = 0;
  /** Every product kernel sends it along: what is queued keeps the precision of its call. */
  precision: Precision = 'float32';

  constructor(
    private readonly binding: Binding,
    threads: number,
    readonly device: string,
  ) {
    super();
    for (const [opcode, name] of binding.kernels.entries()) this.opcodes.set(name, opcode);
    binding.start(this.block, threads, device);
  }

  // Reserved for TensorFlow.js: the fields of the engine's backend interface.

  override numDataIds(): number {
    return this.data.size;
  }

  override write(values: ArrayLike<unknown>, shape: number[], dtype: DataType): DataId {
    const dataId = {};
    this.move(dataId, values, shape, dtype, 1);
    return dataId;
  }

  override move(dataId: DataId, values: ArrayLike<unknown>, shape: number[], dtype: DataType, refCount: number): void {
    if (dtype === 'string') {
      this.data.set(dataId, { slot: -1, dtype, refCount, strings: utf8(values, shape) });
      return;
    }
    const code = dtypeCode(dtype, 'tensor');
    const slot = this.newSlot();
    try {
      if (values == null) {
        this.fill(slot, shape, dtype, 0);
      } else if (shape.length === 0 && dtype !== 'complex64') {
        this.fill(slot, shape, dtype, dtype === 'int32' ? Number(values[0]) | 0 : Number(values[0]));
      } else {
        this.block[0] = shape.length;
        this.block.set(shape, 1);
        this.binding.upload(slot, code, typedArray(values, dtype));
      }
    } catch (error) {
      this.release(slot);
      throw error;
    }
    const known = dtype === 'int32' && values != null && values.length > 0 && values.length <= maxKnown;
    const range = known ? { range: [Math.min(...(values as number[])), Math.max(...(values as number[]))] as const } : {};
    this.data.set(dataId, { slot, dtype, refCount, ...range });
  }

  /** Values; of complex numbers real and imaginary parts in turn, of strings their UTF-8 bytes. */
  override readSync(dataId: DataId): BackendValues {
    const { slot, strings } = this.record(dataId, 'dataSync');
    return strings ?? this.binding.readSync(slot);
  }

  override async read(dataId: DataId): Promise<BackendValues> {
    const { slot, strings } = this.record(dataId, 'data');
    return strings ?? this.binding.read(slot);
  }

  override disposeData(dataId: DataId, force = false): boolean {
    const record = this.data.get(dataId);
    if (!record) return true;
    record.refCount--;
    if (!force && record.refCount > 0) return false;
    this.data.delete(dataId);
    if (record.slot >= 0) this.release(record.slot);
    return true;
  }

  /** Frees every tensor. The engine itself stays, for the next backend of this environment. */
  override dispose(): void {
    const free = new Set(this.freeSlots);
    for (let slot = 0; slot < this.numSlots; slot++) if (!free.has(slot)) this.release(slot);
    this.data.clear();
  }

  override refCount(dataId: DataId): number {
    return this.data.get(dataId)?.refCount ?? 0;
  }

  override incRef(dataId: DataId): void {
    this.record(dataId, 'incRef').refCount++;
  }

  /** `numBytesNative`: bytes of the distinct storages that native tensors hold; waits for the queue. */
  override memory(): { unreliable: boolean; numBytesNative: number; numTensorsNative: number } {
    const [bytes, tensors] = this.binding.memory();
    return { unreliable: false, numBytesNative: bytes, numTensorsNative: tensors };
  }

  /** Tensors are float32 to TensorFlow.js in every precision. */
  override floatPrecision(): 16 | 32 {
    return 32;
  }

  override epsilon(): number {
    return 1e-7;
  }

  override timerAvailable(): boolean {
    return true;
  }

  /** Milliseconds that the kernels queued by `f` took. */
  override async time(f: () => void): Promise<{ kernelMs: number }> {
    this.binding.profile();
    f();
    const profile = this.binding.profile();
    let seconds = 0;
    for (let i = 0; i < profile.length; i += profileFields) seconds += profile[i]!;
    return { kernelMs: seconds * 1000 };
  }

  // What kernels use.

  /** Runs a native kernel with one output. */
  run(
    name: string,
    inputs: readonly (TensorInfo | null | undefined)[],
    output: OutputSpec,
    attrs: readonly NativeAttr[] = [],
  ): TensorInfo {
    return this.runMany(name, inputs, [output], attrs)[0]!;
  }

  /** Runs a native kernel. The call returns at once; what goes wrong natively is thrown where the result is read. */
  runMany(
    name: string,
    inputs: readonly (TensorInfo | null | undefined)[],
    outputs: readonly OutputSpec[],
    attrs: readonly NativeAttr[] = [],
  ): TensorInfo[] {
    const opcode = this.opcodes.get(name);
    if (opcode === undefined) throw new Error(`${name}: the addon has no such kernel`);
    const inputSlots = inputs.map((input) => (input == null ? -1 : this.nativeSlot(input, name)));
    for (const { dtype } of outputs) dtypeCode(dtype, name);
    const { block } = this;
    let at = 0;
    block[at++] = outputs.length;
    const results = outputs.map(({ shape, dtype }): TensorInfo => {
      const slot = this.newSlot();
      const dataId = {};
      this.data.set(dataId, { slot, dtype, refCount: 1 });
      block[at++] = slot;
      block[at++] = shape.length;
      for (const size of shape) block[at++] = size;
      return { dataId, shape: shape.slice(), dtype };
    });
    block[at++] = inputSlots.length;
    for (const slot of inputSlots) block[at++] = slot;
    const countAt = at++;
    for (const attr of attrs) {
      if (typeof attr === 'object') {
        block[at++] = attr.length;
        for (const value of attr) block[at++] = value;
      } else {
        block[at++] = Number(attr);
      }
    }
    block[countAt] = at - countAt - 1;
    try {
      if (at > block.length) throw new RangeError(`${name}: more than ${blockLength} arguments`);
      this.binding.run(opcode);
    } catch (error) {
      for (const info of results) this.drop(info);
      throw error;
    }
    return results;
  }

  /** The least and the greatest of integers that came from JavaScript; undefined of what a kernel made, or of many. */
  knownRange({ dataId }: TensorInfo): readonly [low: number, high: number] | undefined {
    return this.record(dataId, 'range').range;
  }

  /** The same data under another tensor. */
  alias(input: TensorInfo, shape: readonly number[] = input.shape): TensorInfo {
    this.record(input.dataId, 'Identity');
    this.incRef(input.dataId);
    return { dataId: input.dataId, shape: shape.slice(), dtype: input.dtype };
  }

  /** Gives a kernel's own intermediate back. */
  drop(info: TensorInfo): void {
    this.disposeData(info.dataId);
  }

  /** A tensor from values that are at hand. */
  fromValues(values: ArrayLike<unknown>, shape: readonly number[], dtype: DataType): TensorInfo {
    return { dataId: this.write(values, shape.slice(), dtype), shape: shape.slice(), dtype };
  }

  /** What each native kernel took since the last call, longest first; waits for the queue. */
  profile(): KernelTime[] {
    const numbers = this.binding.profile();
    return this.binding.kernels
      .map((kernel, i) => {
        const [seconds, calls, copies, copiedBytes] = numbers.slice(i * profileFields) as [number, number, number, number];
        return { kernel, seconds, calls, copies, copiedBytes };
      })
      .filter(({ calls }) => calls > 0)
      .sort((a, b) => b.seconds - a.seconds);
  }

  /** The number by which native code knows the precision. */
  get precisionCode(): number {
    return precisions.indexOf(this.precision);
  }

  /** The addon's exports, for what concerns the engine and no tensor. */
  get native(): Binding {
    return this.binding;
  }

  private record(dataId: DataId, who: string): TensorRecord {
    const record = this.data.get(dataId);
    if (record) return record;
    if (!isTracked(dataId)) throw new Error(`${who}: the tensor is disposed`);
    engine().moveData(this, dataId); // from another backend
    return this.data.get(dataId)!;
  }

  private nativeSlot({ dataId, dtype }: TensorInfo, who: string): number {
    const { slot } = this.record(dataId, who);
    dtypeCode(slot < 0 ? 'string' : dtype, who);
    return slot;
  }

  private fill(slot: number, shape: readonly number[], dtype: DataType, value: number): void {
    const { block } = this;
    let at = 0;
    const { length } = shape;
    const numbers = [1, slot, length, ...shape, 0, length + 3, dtypeCode(dtype, 'Fill'), value, length, ...shape];
    for (const number of numbers) block[at++] = number;
    this.binding.run(this.opcodes.get('Fill')!);
  }

  private newSlot(): number {
    return this.freeSlots.pop() ?? this.numSlots++;
  }

  private release(slot: number): void {
    this.binding.free(slot);
    this.freeSlots.push(slot);
  }
}

function isTracked(dataId: DataId): boolean {
  const { state } = engine() as unknown as { state: { tensorInfo: WeakMap<DataId, unknown> } };
  return state.tensorInfo.has(dataId);
}
