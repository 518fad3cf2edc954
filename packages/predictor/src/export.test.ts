import { expect, test } from 'vitest';
import { csvText, type ExportedCase, predictionsCsv, predictionsJson } from './export.js';

const one: ExportedCase = {
  id: 'scan "7", left',
  detections: { dim: 3, boxes: Float32Array.of(1, 2, 3, 4, 6, 8), scores: Float32Array.of(0.75), labels: Int32Array.of(1) },
  geometry: { dim: 3, size: [10, 20, 30], spacing: [2.5, 1, 0.5], origin: [-100, 0, 10] },
};
const empty: ExportedCase = {
  ...one,
  id: 'empty',
  detections: { dim: 3, boxes: new Float32Array(0), scores: new Float32Array(0), labels: new Int32Array(0) },
};
const classes = ['benign', 'malignant'];

test('JSON holds voxel and millimetre boxes: origin + (edge − 0.5) × spacing', () => {
  const content = JSON.parse(predictionsJson([one, empty], { classes }));
  expect(content).toMatchObject({ format: 'mdt-predictions', classes });
  expect(content.cases[0].detections).toEqual([
    { box: [1, 2, 3, 4, 6, 8], boxMm: [-98.75, 1.5, 11.25, -91.25, 5.5, 13.75], score: 0.75, label: 1, class: 'malignant' },
  ]);
  expect(content.cases[1].detections).toEqual([]);
});

test('CSV has a header, one quoted line per detection, and negative numbers as numbers', () => {
  const lines = predictionsCsv([one, empty], { classes, dim: 3 }).split('\r\n');
  expect(lines[0]).toBe('case,class,label,score,z1,y1,x1,z2,y2,x2,z1_mm,y1_mm,x1_mm,z2_mm,y2_mm,x2_mm');
  expect(lines[1]).toBe('"scan ""7"", left","malignant",1,0.75,1,2,3,4,6,8,-98.75,1.5,11.25,-91.25,5.5,13.75');
  expect(lines.slice(2)).toEqual(['']);
});

test('a text that a spreadsheet would run is disarmed', () => {
  for (const text of ['=1+1', '+cmd', '-2', '@sum', '\tx', '\rx', '\0x']) expect(csvText(text)).toBe(`"'${text}"`);
  expect(csvText('a=b')).toBe('"a=b"');
});
