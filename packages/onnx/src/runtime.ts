/** What is needed of onnxruntime; `onnxruntime-node` and `onnxruntime-web` are such as they are. */
export interface OnnxRuntime {
  readonly InferenceSession: {
    create(model: Uint8Array, options?: Record<string, unknown>): Promise<OnnxSession>;
    create(path: string, options?: Record<string, unknown>): Promise<OnnxSession>;
  };
  readonly Tensor: new (type: 'float32', data: Float32Array, dims: readonly number[]) => OnnxTensor;
}

export interface OnnxSession {
  readonly outputNames: readonly string[];
  run(feeds: Readonly<Record<string, OnnxTensor>>, fetches: readonly string[]): Promise<Readonly<Record<string, OnnxTensor>>>;
  release?(): Promise<void>;
}

export interface OnnxTensor {
  readonly dims: readonly number[];
  /** The values, wherever they are. */
  getData(releaseData?: boolean): Promise<unknown>;
  dispose(): void;
}
