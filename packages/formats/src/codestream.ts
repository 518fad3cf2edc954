import type { Refusals } from './image-header.js';

/** What the header of a packed image says. */
export interface CodestreamInfo {
  coding: 'jpeg' | 'jpeg-lossless' | 'jpeg-ls' | 'jpeg-2000';
  width: number;
  height: number;
  /** Colours per pixel. */
  samples: number;
  /** Significant bits of a sample. */
  bits: number;
  signed: boolean;
}

/**
 * Reads the header of a JPEG (ITU T.81), JPEG-LS (T.87) or JPEG 2000 (T.800) codestream.
 *
 * @throws InputError `unreadable-file`, `unsupported-format`
 */
export function describeCodestream(stream: Uint8Array, refuse: Refusals): CodestreamInfo {
  const view = new DataView(stream.buffer, stream.byteOffset, stream.byteLength);
  if (stream.length >= 4 && view.getUint32(0) === 0xff4fff51) return describeJpeg2000(view, refuse);
  if (stream.length >= 4 && view.getUint16(0) === 0xffd8) return describeJpeg(view, refuse);
  return refuse.damaged('the packed image is neither JPEG nor JPEG 2000');
}

/** The image and tile size segment, which has to come first. */
function describeJpeg2000(view: DataView, refuse: Refusals): CodestreamInfo {
  if (view.byteLength < 43) return refuse.damaged('the JPEG 2000 image is cut short');
  const at = (index: number) => view.getUint32(8 + 4 * index);
  const [right, bottom, left, top] = [at(0), at(1), at(2), at(3)];
  const samples = view.getUint16(40);
  const depth = view.getUint8(42);
  for (let c = 0; c < samples; c++) {
    if (45 + 3 * c > view.byteLength) return refuse.damaged('the JPEG 2000 image is cut short');
    const [same, dx, dy] = [view.getUint8(42 + 3 * c), view.getUint8(43 + 3 * c), view.getUint8(44 + 3 * c)];
    if (same !== depth || dx !== 1 || dy !== 1)
      return refuse.unsupported('a JPEG 2000 image whose colours differ in depth or size');
  }
  return checked(
    { coding: 'jpeg-2000', width: right - left, height: bottom - top, samples, bits: (depth & 127) + 1, signed: depth > 127 },
    refuse,
  );
}

/** The frame header, behind segments of other kinds. */
function describeJpeg(view: DataView, refuse: Refusals): CodestreamInfo {
  for (let at = 2; at + 4 <= view.byteLength; ) {
    const marker = view.getUint16(at);
    if (marker === 0xffff) {
      at++; // fill bytes
      continue;
    }
    const frame = marker >= 0xffc0 && marker <= 0xffcf && ![0xffc4, 0xffc8, 0xffcc].includes(marker);
    if (frame || marker === 0xfff7) {
      if (at + 10 > view.byteLength) break;
      const coding = marker === 0xfff7 ? 'jpeg-ls' : marker === 0xffc3 ? 'jpeg-lossless' : 'jpeg';
      if (coding === 'jpeg' && marker > 0xffc2) return refuse.unsupported(`a JPEG image of process ${marker - 0xffc0}`);
      const [bits, height, width, samples] = [
        view.getUint8(at + 4),
        view.getUint16(at + 5),
        view.getUint16(at + 7),
        view.getUint8(at + 9),
      ];
      return checked({ coding, width, height, samples, bits, signed: false }, refuse);
    }
    if (marker < 0xffc0 || marker === 0xffda || marker === 0xffd9) break;
    at += 2 + view.getUint16(at + 2);
  }
  return refuse.damaged('the JPEG image has no frame header');
}

function checked(info: CodestreamInfo, refuse: Refusals): CodestreamInfo {
  const { width, height, samples, bits } = info;
  if (!(width > 0 && height > 0)) return refuse.damaged(`the packed image has ${height}x${width} pixels`);
  if (![1, 3, 4].includes(samples) || bits > 16)
    return refuse.unsupported(`a packed image of ${samples} samples of ${bits} bits`);
  return info;
}
