import { InputError } from '@mdt/core';
import { Problems } from '../../problems.js';
import type { Place } from '../draw.js';
import { childrenOf, parseXml, textOf, type XmlElement } from './xml.js';

/** What LIDC's readers rated, on scales from 1 to 5 or 6; McNitt-Gray et al. 2007. */
export const characteristics = [
  'subtlety',
  'internalStructure',
  'calcification',
  'sphericity',
  'margin',
  'lobulation',
  'spiculation',
  'texture',
  'malignancy',
] as const;
export type Ratings = Partial<Record<(typeof characteristics)[number], number>>;

/** An outline on one slice: the first pixels outside the nodule; of a hole where `inclusion` is false. */
export interface LidcContour {
  /** Millimetres. */
  z: number;
  sliceUid: string;
  inclusion: boolean;
  /** `[x0, y0, x1, y1, …]`, whole pixels: column and row. */
  points: Int32Array;
}

/** A nodule as one reader marked it. */
export interface LidcMark {
  /** Which reading session, from 0. */
  reader: number;
  id: string;
  /** Empty for nodules below 3 mm, which have a single point. */
  ratings: Ratings;
  contours: LidcContour[];
}

export interface LidcReading {
  studyUid: string;
  seriesUid: string;
  /** Reading sessions; a session may have no mark. */
  readers: number;
  marks: LidcMark[];
}

/**
 * Reads an annotation file of LIDC-IDRI: the marks of each reader's unblinded session. What readers called no nodule is left out.
 *
 * @param problems takes what is wrong with fields; their marks are left out
 * @throws InputError `invalid-data` that names the file, the nodule and the field
 */
export function parseLidcXml(text: string, file: string, problems: Problems = new Problems()): LidcReading {
  const root = parseXml(text, file);
  if (root.name !== 'LidcReadMessage') {
    throw new InputError('invalid-data', `${file}: found <${root.name}>, expected <LidcReadMessage>`);
  }
  const header = childrenOf(root, 'ResponseHeader')[0];
  const sessions = childrenOf(root, 'readingSession');
  const marks = sessions.flatMap((session, reader) =>
    childrenOf(session, 'unblindedReadNodule').flatMap((nodule): LidcMark[] => {
      const id = textOf(nodule, 'noduleID') ?? '';
      const place = { file, field: `reader ${reader + 1}, nodule '${id}'` };
      const rois = childrenOf(nodule, 'roi');
      if (rois.length === 0) problems.add({ file, field: `${place.field}: roi`, found: 'missing', expected: 'one or more' });
      const read = rois.map((roi) => contourOf(roi, place, problems));
      const ratings = ratingsOf(childrenOf(nodule, 'characteristics')[0], place, problems);
      const contours = read.filter((contour) => contour !== undefined);
      return rois.length > 0 && contours.length === rois.length ? [{ reader, id, ratings, contours }] : [];
    }),
  );
  return {
    studyUid: (header && textOf(header, 'StudyInstanceUID')) ?? '',
    seriesUid: (header && textOf(header, 'SeriesInstanceUid')) ?? '',
    readers: sessions.length,
    marks,
  };
}

function contourOf(roi: XmlElement, { file, field: nodule }: Place, problems: Problems): LidcContour | undefined {
  const numberIn = (element: XmlElement, field: string, whole: boolean): number => {
    const text = textOf(element, field);
    const value = text ? Number(text) : Number.NaN;
    if (Number.isFinite(value) && (!whole || Number.isInteger(value))) return value;
    const expected = `a ${whole ? 'whole ' : ''}number`;
    problems.add({ file, field: `${nodule}: ${field}`, found: `'${text ?? 'missing'}'`, expected });
    return Number.NaN;
  };
  const edges = childrenOf(roi, 'edgeMap');
  if (edges.length === 0) problems.add({ file, field: `${nodule}: edgeMap`, found: 'missing', expected: 'one or more' });
  const z = numberIn(roi, 'imageZposition', false);
  const points = edges.flatMap((edge) => [numberIn(edge, 'xCoord', true), numberIn(edge, 'yCoord', true)]);
  if (edges.length === 0 || [z, ...points].some(Number.isNaN)) return undefined;
  return {
    z,
    sliceUid: textOf(roi, 'imageSOP_UID') ?? '',
    inclusion: textOf(roi, 'inclusion')?.toUpperCase() !== 'FALSE',
    points: Int32Array.from(points),
  };
}

function ratingsOf(element: XmlElement | undefined, { file, field: nodule }: Place, problems: Problems): Ratings {
  const ratings: Ratings = {};
  for (const name of characteristics) {
    const text = element && textOf(element, name);
    if (!text) continue;
    const value = Number(text);
    const good = Number.isInteger(value) && value >= 0 && value <= 6;
    if (good) ratings[name] = value;
    else problems.add({ file, field: `${nodule}: ${name}`, found: `'${text}'`, expected: '1 to 6' });
  }
  return ratings;
}

/** The annotation file of a reading, in LIDC's format; `parseLidcXml` gives the reading back. */
export function encodeLidcXml({ studyUid, seriesUid, readers, marks }: LidcReading): string {
  const tag = (name: string, content: string | number) => `<${name}>${content}</${name}>`;
  const roi = ({ z, sliceUid, inclusion, points }: LidcContour) =>
    [
      '<roi>',
      tag('imageZposition', z),
      tag('imageSOP_UID', sliceUid),
      tag('inclusion', inclusion ? 'TRUE' : 'FALSE'),
      ...Array.from({ length: points.length / 2 }, (_, i) =>
        tag('edgeMap', tag('xCoord', points[2 * i]!) + tag('yCoord', points[2 * i + 1]!)),
      ),
      '</roi>',
    ].join('\n');
  const nodule = ({ id, ratings, contours }: LidcMark) => {
    const rated = characteristics.filter((name) => ratings[name] !== undefined).map((name) => tag(name, ratings[name]!));
    return [
      '<unblindedReadNodule>',
      tag('noduleID', id),
      ...(rated.length > 0 ? [tag('characteristics', rated.join('\n'))] : []),
      ...contours.map(roi),
      '</unblindedReadNodule>',
    ].join('\n');
  };
  const session = (_: unknown, reader: number) =>
    [
      '<readingSession>',
      tag('annotationVersion', '3.12'),
      tag('servicingRadiologistID', `reader-${reader + 1}`),
      ...marks.filter((mark) => mark.reader === reader).map(nodule),
      '</readingSession>',
    ].join('\n');
  return [
    '<?xml version="1.0" encoding="UTF-8"?>',
    '<LidcReadMessage xmlns="http://www.nih.gov">',
    `<ResponseHeader>${tag('SeriesInstanceUid', seriesUid)}${tag('StudyInstanceUID', studyUid)}</ResponseHeader>`,
    ...Array.from({ length: readers }, session),
    '</LidcReadMessage>\n',
  ].join('\n');
}
