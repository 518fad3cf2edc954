export { type NativeInfo, nativeInfo } from './load.js';
export { boxIou, boxIouAsync } from './ops/box-iou.js';
export {
  batchedNms,
  batchedNmsAsync,
  type NmsOptions,
  nonMaximumSuppression,
  nonMaximumSuppressionAsync,
} from './ops/nms.js';
export type { BoxOpOptions } from './ops/options.js';
