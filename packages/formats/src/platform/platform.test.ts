import { deflateRawSync, deflateSync, gzipSync } from 'node:zlib';
import { rng } from '@mdt/core';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import * as browser from './browser.js';
import * as node from './node.js';
import { type Packing, TooLong } from './packing.js';

const packers = { gzip: gzipSync, zlib: deflateSync, deflate: deflateRawSync } as const;
const packings = Object.keys(packers) as Packing[];

/** What became of packed bytes, so that two ways of unpacking can be compared. */
function outcome(unpack: typeof node.inflate, packed: Uint8Array, packing: Packing, limit: number): string {
  try {
    return Buffer.from(unpack(packed, packing, limit)).toString('hex');
  } catch (error) {
    return error instanceof TooLong ? 'too long' : 'damaged';
  }
}

describe.each(packings)('%s', (packing) => {
  test('a browser unpacks what Node does, whole and damaged, to the same limit', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 2000 }),
        fc.nat(3),
        fc.nat(),
        fc.integer({ min: 1, max: 2100 }),
        (data, kind, at, limit) => {
          const packed = new Uint8Array(packers[packing](data));
          const given = kind === 1 ? packed.subarray(0, at % packed.length) : packed;
          if (kind === 2) given[at % given.length]! ^= 1 << (at % 8);
          const expected = outcome(node.inflate, given, packing, limit);
          const found = outcome(browser.inflate, given, packing, limit);
          // Damaged data that is too long as well may be found out for either.
          if (kind > 0 && expected !== found) expect([expected, found].sort()).toEqual(['damaged', 'too long']);
          else expect(found).toBe(expected);
        },
      ),
      { numRuns: 100 },
    );
  });

  test('a browser stops a bomb at its limit', () => {
    const bomb = new Uint8Array(packers[packing](new Uint8Array(2 ** 24)));
    const before = process.memoryUsage.rss();
    expect(() => browser.inflate(bomb, packing, 2 ** 16)).toThrow(TooLong);
    expect(process.memoryUsage.rss() - before).toBeLessThan(2 ** 24);
  });
});

test('a file of two gzip members is one', () => {
  const two = new Uint8Array(Buffer.concat([gzipSync('abc'), gzipSync('def')]));
  for (const { inflate } of [node, browser]) expect(Buffer.from(inflate(two, 'gzip', 6)).toString()).toBe('abcdef');
});

test('the start of a gzip file gives as much as is there', () => {
  const random = rng('start');
  const data = Uint8Array.from({ length: 20000 }, () => random.integer(0, 64));
  const start = new Uint8Array(gzipSync(data)).subarray(0, 4096);
  const expected = node.gunzipStart(start);
  expect(expected.length).toBeGreaterThan(2000);
  expect(browser.gunzipStart(start)).toEqual(new Uint8Array(expected));
  for (const { gunzipStart } of [node, browser]) expect(() => gunzipStart(Uint8Array.of(0x1f, 0x8b, 9, 9, 9, 9))).toThrow();
});

test("what a browser packs, Node's zlib unpacks", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 5000 }), (data) => {
      expect(new Uint8Array(node.inflate(browser.gzip(data), 'gzip', 5000))).toEqual(data);
    }),
  );
});
