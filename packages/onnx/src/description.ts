import { type AxisName, axisNames, type Dim, InputError, type PerAxis, perAxis } from '@mdt/core';
import type { Decoding } from '@mdt/decode';
import { isOrientation } from '@mdt/predictor';
import { readDecoding } from './decoding-reader.js';
import { JsonReader } from './json-reader.js';

/** The number of this format; a reader refuses files of later ones. */
export const formatVersion = 1;

export const precisions = ['float32', 'float16', 'int8'] as const;
export type ModelPrecision = (typeof precisions)[number];

/** How whole images are predicted unless the caller says otherwise. */
export interface PredictionDefaults {
  /** Voxels that neighbouring tiles share, at least; null leaves it to the predictor. */
  readonly minOverlap: number | readonly number[] | null;
  /** Axes of test-time mirroring; every combination is a view. */
  readonly mirror: readonly AxisName[];
  /** See `consolidationOf` of `@mdt/predictor`. */
  readonly consolidation: {
    readonly method: 'wbc' | 'nms' | 'soft-nms' | 'wbf';
    readonly iouThreshold: number;
    /** Candidates below this score are left out before they are consolidated. */
    readonly minCandidateScore: number;
    /** Boxes with a shorter side (voxels) are left out. */
    readonly minSide: number;
    /** Whether what one model found on one view is reduced first. */
    readonly memberNms?: 'none' | 'plain' | 'weighted';
    readonly memberIouThreshold?: number;
  };
  /** Detections below this score are left out. */
  readonly minScore: number;
}

/** A score threshold, and what it reached on validation cases. */
export interface ModelOperatingPoint {
  readonly minScore: number;
  /** Share of the objects that are found. */
  readonly sensitivity: number | null;
  readonly falsePositivesPerImage: number | null;
  readonly f1: number | null;
  /** Mean average precision of the model with its consolidation. */
  readonly ap: number | null;
}

/** All that prediction needs besides the graph: what a model file says of itself. */
export interface ModelDescription<D extends Dim = Dim> {
  readonly format: number;
  /** As in `RetinaUNet3D`. */
  readonly kind: string;
  readonly dim: D;
  /** Foreground classes. */
  readonly classes: readonly string[];
  readonly channels: number;
  /** Millimetres per voxel of the images it was trained on, array order; null where they differ or nobody knows. */
  readonly spacing: PerAxis<D> | null;
  /** Where array axes point in the patient, as `SPL`: z to the head, y to the back, x to the left; null where nobody knows. */
  readonly orientation: string | null;
  /** How intensities become network input, see `normalise` of `@mdt/toolkit`; null for as they are. */
  readonly normalisation: Readonly<Record<string, unknown>> | null;
  /** Voxels per axis. */
  readonly patchSize: PerAxis<D>;
  /** Where the graph takes other sizes too, they have to be multiples of these. */
  readonly sizeMultiple: PerAxis<D>;
  readonly precision: ModelPrecision;
  readonly decoding: Decoding;
  readonly prediction: PredictionDefaults;
  readonly operatingPoints: readonly ModelOperatingPoint[];
  /** sha256 of the training data's list, and its name. */
  readonly training: { readonly dataHash: string | null; readonly dataName: string | null };
  /** SPDX identifier, or words. */
  readonly licence: string | null;
  /** Of the model, as its makers count. */
  readonly version: string | null;
}

const prefix = 'mdt.';

/** The description as texts of ONNX's own metadata: `mdt.<key>` with JSON in each. */
export function descriptionMetadata(description: ModelDescription): Record<string, string> {
  return Object.fromEntries(Object.entries(description).map(([key, value]) => [prefix + key, JSON.stringify(value)]));
}

/**
 * Reads what `descriptionMetadata` wrote, every value checked.
 *
 * @throws InputError `unsupported-format` for a file that does not come from here or is newer, `invalid-data`
 */
export function readDescription(metadata: ReadonlyMap<string, string>, file: string): ModelDescription {
  if (!metadata.has(`${prefix}format`)) {
    throw new InputError(
      'unsupported-format',
      `${file}: a model without the metadata of a detector; write it with \`mdt export\``,
    );
  }
  const at = (key: string): JsonReader => {
    const text = metadata.get(prefix + key);
    try {
      return new JsonReader(text === undefined ? undefined : JSON.parse(text), `${file}: ${prefix}${key}`);
    } catch (cause) {
      throw new InputError('invalid-data', `${file}: ${prefix}${key} is not JSON`, { cause });
    }
  };
  const format = at('format').whole(1, 1e6);
  if (format > formatVersion) {
    const text = `${file}: a model of format ${format}, this version reads up to ${formatVersion}`;
    throw new InputError('unsupported-format', text);
  }
  const dim = at('dim').oneOf([2, 3] as const);
  const classes = at('classes').list((item) => item.text(200), { least: 1 });
  if (new Set(classes).size < classes.length) at('classes').refuse('different names');
  const sides = (key: string, high: number) =>
    perAxis<Dim>(
      dim,
      at(key).list((n) => n.whole(1, high), { least: dim, most: dim }),
    );
  const name = (key: string) => at(key).maybe((reader) => reader.text());
  const training = at('training');
  return {
    format,
    kind: at('kind').text(100),
    dim,
    classes,
    channels: at('channels').whole(1, 10_000),
    spacing: at('spacing').maybe((list) =>
      perAxis<Dim>(
        dim,
        list.list((n) => n.number(1e-6, 1e6), { least: dim, most: dim }),
      ),
    ),
    orientation: at('orientation').maybe((reader) => {
      const text = reader.text(3);
      return isOrientation(text, dim)
        ? text
        : reader.refuse(`${dim} letters for the ways of its axes, as ${dim === 3 ? 'SPL' : 'PL'}`);
    }),
    normalisation: at('normalisation').maybe((reader) => reader.object()),
    patchSize: sides('patchSize', 1 << 16),
    sizeMultiple: sides('sizeMultiple', 1 << 16),
    precision: at('precision').oneOf(precisions),
    decoding: readDecoding(at('decoding'), dim),
    prediction: readPrediction(at('prediction'), dim),
    operatingPoints: at('operatingPoints').list(readPoint),
    training: {
      dataHash: training.at('dataHash').maybe((reader) => reader.text()),
      dataName: training.at('dataName').maybe((reader) => reader.text()),
    },
    licence: name('licence'),
    version: name('version'),
  };
}

function readPrediction(reader: JsonReader, dim: Dim): PredictionDefaults {
  const consolidation = reader.at('consolidation');
  const side = (n: JsonReader) => n.whole(0, 1 << 16);
  const memberNms = consolidation.at('memberNms').maybe((name) => name.oneOf(['none', 'plain', 'weighted'] as const));
  const memberIouThreshold = consolidation.at('memberIouThreshold').maybe((value) => value.number(0, 1));
  return {
    minOverlap: reader
      .at('minOverlap')
      .maybe((value) => (Array.isArray(value.value) ? value.list(side, { least: dim, most: dim }) : side(value))),
    mirror: reader.at('mirror').list((axis) => axis.oneOf(axisNames[dim]), { most: dim }),
    consolidation: {
      method: consolidation.at('method').oneOf(['wbc', 'nms', 'soft-nms', 'wbf'] as const),
      iouThreshold: consolidation.at('iouThreshold').number(0, 1),
      minCandidateScore: consolidation.at('minCandidateScore').number(0, 1),
      minSide: consolidation.at('minSide').number(0, 1e6),
      ...(memberNms && { memberNms }),
      ...(memberIouThreshold !== null && { memberIouThreshold }),
    },
    minScore: reader.at('minScore').number(0, 1),
  };
}

function readPoint(reader: JsonReader): ModelOperatingPoint {
  const share = (key: string) => reader.at(key).maybe((value) => value.number(0, 1));
  return {
    minScore: reader.at('minScore').number(0, 1),
    sensitivity: share('sensitivity'),
    falsePositivesPerImage: reader.at('falsePositivesPerImage').maybe((value) => value.number(0, 1e9)),
    f1: share('f1'),
    ap: share('ap'),
  };
}
