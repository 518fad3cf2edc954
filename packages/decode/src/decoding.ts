import type { AnchorLayout } from './anchors.js';
import type { ComponentOptions } from './objects.js';
import type { NmsOptions } from './postprocess.js';
import type { ClassActivation } from './scores.js';

/** A box coding as plain data. */
export interface BoxCodingLayout {
  readonly std: readonly number[];
  /** Null for no limit. */
  readonly maxLogSize: number | null;
}

/** What belongs to every stage that predicts from anchors. */
export interface AnchorDecoding {
  readonly activation: ClassActivation;
  readonly anchors: AnchorLayout;
  readonly boxCoding: BoxCodingLayout;
}

/** One stage: the classes and boxes of anchors, suppressed. */
export interface OneStageDecoding extends AnchorDecoding {
  readonly method: 'anchors';
  readonly nms: Required<NmsOptions>;
  readonly legacy: boolean;
}

/** Two stages: proposals from anchors, then a head on what lies under each. */
export interface TwoStageDecoding {
  readonly method: 'proposals';
  readonly proposals: AnchorDecoding & {
    readonly preNmsTopK: number;
    readonly iouThreshold: number;
    /** Proposals per image. */
    readonly count: number;
  };
  /** How features under a box are sampled, see `roiAlign` of `@mdt/native-ops`; `chunkSize` boxes at once. */
  readonly rois: { readonly sampling: 'average' | 'single'; readonly chunkSize: number };
  readonly boxHead: {
    readonly poolSize: readonly number[];
    readonly activation: ClassActivation;
    readonly boxCoding: BoxCodingLayout;
  };
  /** `shape`: cells of a mask per axis. */
  readonly maskHead?: { readonly poolSize: readonly number[]; readonly shape: readonly number[] };
  readonly nms: Required<NmsOptions>;
  /** Whether the original toolkit would drop what is below the lowest score where nothing is above it. */
  readonly isScoreFiltered: boolean;
  readonly legacy: boolean;
}

/** Segmentation: connected components of the most probable class. */
export interface ComponentDecoding extends Required<Omit<ComponentOptions, 'numClasses'>> {
  readonly method: 'components';
}

/** How the outputs of a network become detections, as plain data: what a model file says of it. */
export type Decoding = OneStageDecoding | TwoStageDecoding | ComponentDecoding;
