import { readFileSync } from 'node:fs';
import { readSafetensors, type SafeTensor, toFloat32 } from '@mdt/core';

/** A recorded tensor in the original's layout, whole or by samples. */
export interface RecordedTensor {
  shape: readonly number[];
  /** Flat, row-major positions of `values`; undefined when the tensor is whole. */
  index?: ArrayLike<number>;
  values: Float32Array;
  /** Mean and root of the sum of squares of the whole tensor, where samples were kept. */
  meanL2?: readonly [number, number];
}

/** The part of the original's configuration that shapes its networks. */
export interface RecordedConfig {
  dim: 2 | 3;
  model: string;
  patch_size: number[];
  relu: string;
  norm: string | null;
  operate_stride1: boolean;
  sixth_pooling: boolean;
  res_architecture: string;
  start_filts: number;
  end_filts: number;
  n_rpn_features: number;
  head_classes: number;
  num_seg_classes: number;
  pyramid_levels: number[];
  rpn_anchor_scales: { xy: number[][]; z: number[][] };
  rpn_anchor_ratios: number[];
  rpn_bbox_std_dev: number[];
  rpn_train_anchors_per_image: number;
  anchor_matching_iou: number;
  detection_nms_threshold: number;
  model_max_instances_per_batch_element: number;
  model_min_confidence: number;
  pre_nms_limit: number;
  /** Of Detection U-Net. */
  seg_loss_mode?: string;
  fp_dice_weight?: number;
  wce_weights?: number[];
  n_roi_candidates: number;
  detection_min_confidence: number;
  aggregation_operation?: string;
  /** Of two-stage detectors. */
  bbox_std_dev: number[];
  shem_poolsize: number;
  train_rois_per_image: number;
  roi_positive_ratio: number;
  rpn_nms_threshold: number;
  post_nms_rois_training: number;
  roi_chunk_size: number;
  pool_size: number[];
  mask_pool_size: number[];
  mask_shape: number[];
  frcnn_mode: boolean;
}

export interface RecordedBox {
  box_coords: number[];
  box_type: string;
  box_score?: number;
  /** 1 … C. */
  box_pred_class_id?: number;
}

/** One training step and one test pass of a network, as the original computed them. */
export interface NetworkRecording {
  config: RecordedConfig;
  loss: number;
  /** The parts of the loss by the original's names. */
  lossParts: ReadonlyMap<string, number>;
  segPredsMean: number;
  trainBoxes: RecordedBox[][];
  testBoxes: RecordedBox[][];
  /** Weights and buffers by the original's names. */
  parameters: ReadonlyMap<string, SafeTensor>;
  /** Names of the tensors that start with `prefix`, samples counted once, in numeric order of their last part. */
  names(prefix: string): string[];
  tensor(name: string): RecordedTensor;
  has(name: string): boolean;
}

/** Reads `NAME.safetensors` and the `NAME.json` beside it. */
export function readNetworkRecording(path: string): NetworkRecording {
  const { tensors } = readSafetensors(readFileSync(path), path);
  const json = JSON.parse(readFileSync(path.replace(/\.safetensors$/, '.json'), 'utf8')) as {
    config: RecordedConfig;
    loss: number;
    logger: string;
    seg_preds_mean: number;
    boxes: RecordedBox[][];
    test_boxes: RecordedBox[][];
  };
  const has = (name: string) => tensors.has(name) || tensors.has(`${name}#value`);
  const get = (name: string): SafeTensor => {
    const tensor = tensors.get(name);
    if (!tensor) throw new Error(`${path}: there is no tensor '${name}'`);
    return tensor;
  };
  return {
    config: json.config,
    loss: json.loss,
    lossParts: new Map(Array.from(json.logger.matchAll(/([^:,]+): (-?[\d.e+-]+)/g), (m) => [m[1]!.trim(), Number(m[2])])),
    segPredsMean: json.seg_preds_mean,
    trainBoxes: json.boxes,
    testBoxes: json.test_boxes,
    parameters: new Map([...tensors].flatMap(([name, t]) => (name.startsWith('param.') ? [[name.slice(6), t]] : []))),
    names(prefix) {
      const found = new Set([...tensors.keys()].filter((n) => n.startsWith(prefix)).map((n) => n.replace(/#.*$/, '')));
      return [...found].sort((a, b) => a.localeCompare(b, 'en', { numeric: true }));
    },
    has,
    tensor(name) {
      if (tensors.has(name)) return { shape: get(name).shape, values: toFloat32(get(name)) };
      const [mean, l2] = Array.from(get(`${name}#mean_l2`).data as Float64Array) as [number, number];
      return {
        shape: Array.from(get(`${name}#shape`).data as Int32Array),
        index: get(`${name}#index`).data as Int32Array,
        values: toFloat32(get(`${name}#value`)),
        meanL2: [mean, l2],
      };
    },
  };
}
