import type { Dim } from '@mdt/core';
import type { AnchorDecoding, BoxCodingLayout, Decoding } from '@mdt/decode';
import type { JsonReader } from './json-reader.js';

const mostBoxes = 1_000_000;
const longestSide = 1 << 16;

/** A decoding that a stranger wrote, every number in its range. */
export function readDecoding(reader: JsonReader, dim: Dim): Decoding {
  const method = reader.at('method').oneOf(['anchors', 'proposals', 'components'] as const);
  const legacy = reader.at('legacy').boolean();
  if (method === 'components') {
    return {
      method,
      legacy,
      maxPerClass: reader.at('maxPerClass').whole(1, mostBoxes),
      minScore: reader.at('minScore').number(0, 1),
      score: reader.at('score').oneOf(['max', 'median'] as const),
    };
  }
  const nms = reader.at('nms');
  const limits = {
    iouThreshold: nms.at('iouThreshold').number(0, 1),
    maxPerImage: nms.at('maxPerImage').whole(1, mostBoxes),
    minScore: nms.at('minScore').number(0, 1),
    preNmsTopK: nms.at('preNmsTopK').whole(1, mostBoxes),
  };
  if (method === 'anchors') return { method, ...readAnchors(reader, dim), nms: limits, legacy };
  const proposals = reader.at('proposals');
  const rois = reader.at('rois');
  const boxHead = reader.at('boxHead');
  const pool = (list: JsonReader) => list.list((n) => n.whole(1, 256), { least: dim, most: dim });
  const maskHead = reader
    .at('maskHead')
    .maybe((head) => ({ poolSize: pool(head.at('poolSize')), shape: pool(head.at('shape')) }));
  return {
    method,
    proposals: {
      ...readAnchors(proposals, dim),
      preNmsTopK: proposals.at('preNmsTopK').whole(1, mostBoxes),
      iouThreshold: proposals.at('iouThreshold').number(0, 1),
      count: proposals.at('count').whole(1, 100_000),
    },
    rois: {
      sampling: rois.at('sampling').oneOf(['average', 'single'] as const),
      chunkSize: rois.at('chunkSize').whole(1, 100_000),
    },
    boxHead: {
      poolSize: pool(boxHead.at('poolSize')),
      activation: readActivation(boxHead),
      boxCoding: readCoding(boxHead.at('boxCoding'), dim),
    },
    ...(maskHead && { maskHead }),
    nms: limits,
    isScoreFiltered: reader.at('isScoreFiltered').boolean(),
    legacy,
  };
}

const readActivation = (reader: JsonReader) => reader.at('activation').oneOf(['softmax', 'sigmoid'] as const);

function readAnchors(reader: JsonReader, dim: Dim): AnchorDecoding {
  const anchors = reader.at('anchors');
  const perAxis = { least: dim, most: dim };
  const levels = anchors.at('levels').list(
    (level) => ({
      name: level.at('name').text(100),
      stride: level.at('stride').list((n) => n.whole(1, longestSide), perAxis),
      shapes: level.at('shapes').list((shape) => shape.list((n) => n.number(1e-6, 1e6), perAxis), { least: 1, most: 1000 }),
    }),
    { least: 1, most: 16 },
  );
  const perCell = levels[0]!.shapes.length;
  if (levels.some(({ shapes }) => shapes.length !== perCell)) anchors.at('levels').refuse('as many shapes on every level');
  return {
    activation: readActivation(reader),
    anchors: { shift: anchors.at('shift').number(0, 1), levels },
    boxCoding: readCoding(reader.at('boxCoding'), dim),
  };
}

function readCoding(reader: JsonReader, dim: Dim): BoxCodingLayout {
  return {
    std: reader.at('std').list((n) => n.number(1e-9, 1e9), { least: 2 * dim, most: 2 * dim }),
    maxLogSize: reader.at('maxLogSize').maybe((n) => n.number(0, 1e3)),
  };
}
