// Laws that hold for any input: order, place, scale, mirrors and copies.
import { product, rng } from '@mdt/core';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { mirrorBoxes, mirrorCells, pickRows } from '../../test/moves.js';
import { randomRois } from '../../test/rois.js';
import { expectSame } from '../../test/same.js';
import {
  batchedNms,
  boxDiou,
  boxGiou,
  boxIou,
  connectedComponents,
  cropMasks,
  greedyClusters,
  pasteMasks,
  pyramidRoiAlign,
  pyramidRoiAlignGrad,
  resample,
  roiLevels,
  softNms,
} from '../index.js';

describe.each([2, 3] as const)('in %dD', (dim) => {
  const axis = fc.integer({ min: 0, max: dim - 1 });
  const seed = fc.integer({ min: 0, max: 1e9 });
  /** Boxes with whole corners, scores that all differ, groups, and the rows in another order. */
  const scored = fc
    .array(
      fc.array(fc.tuple(fc.integer({ min: 0, max: 12 }), fc.integer({ min: 1, max: 8 })), { minLength: dim, maxLength: dim }),
      {
        minLength: 1,
        maxLength: 30,
      },
    )
    .chain((rows) => {
      const n = rows.length;
      const boxes = Float64Array.from(
        rows.flatMap((row) => [...row.map(([low]) => low), ...row.map(([low, side]) => low + side)]),
      );
      const scores = Float64Array.from(rows, (_, i) => 1 - i / (2 * n));
      const groups = Int32Array.from(rows, (row) => row[0]![1] % 2);
      const order = fc.shuffledSubarray(
        rows.map((_, i) => i),
        { minLength: n, maxLength: n },
      );
      return fc.record({ boxes: fc.constant(boxes), scores: fc.constant(scores), groups: fc.constant(groups), order });
    });
  const moved = fc.tuple(scored, fc.integer({ min: -100, max: 100 }), fc.integer({ min: -20, max: 20 }), axis);

  test('NMS: neither order, nor place, scale or mirrors change who stays; copies go', () => {
    fc.assert(
      fc.property(
        moved,
        fc.constantFrom(0, 0.1, 1 / 3, 0.5),
        ([{ boxes, scores, groups, order }, shift, power, axis], iouThreshold) => {
          const options = { dim, iouThreshold };
          const kept = [...batchedNms(boxes, scores, groups, options)];
          const shuffled = batchedNms(pickRows(boxes, order, 2 * dim), pickRows(scores, order), pickRows(groups, order), options);
          expect([...shuffled].map((i) => order[i]!)).toEqual(kept);
          for (const change of [boxes.map((v) => v + shift), boxes.map((v) => v * 2 ** power), mirrorBoxes(boxes, dim, axis)]) {
            expect([...batchedNms(change, scores, groups, options)]).toEqual(kept);
          }
          const twice = [...scores.keys(), ...scores.keys()];
          const copies = batchedNms(pickRows(boxes, twice, 2 * dim), pickRows(scores, twice), pickRows(groups, twice), options);
          expect([...copies]).toEqual(kept);
        },
      ),
      { numRuns: 200 },
    );
  });

  test('greedy clusters: neither place, scale nor mirrors change who joins whom; a copy joins as its original does', () => {
    fc.assert(
      fc.property(moved, fc.constantFrom(0, 0.1, 1 / 3, 0.5), ([{ boxes, groups }, shift, power, axis], iouThreshold) => {
        const options = { dim, iouThreshold, groups };
        const owners = greedyClusters(boxes, options);
        for (const change of [boxes.map((v) => v + shift), boxes.map((v) => v * 2 ** power), mirrorBoxes(boxes, dim, axis)]) {
          expect(greedyClusters(change, options)).toEqual(owners);
        }
        const twice = [...groups.keys(), ...groups.keys()];
        const copies = greedyClusters(pickRows(boxes, twice, 2 * dim), { ...options, groups: pickRows(groups, twice) });
        expect(copies).toEqual(pickRows(owners, twice));
      }),
    );
  });

  test('soft-NMS: neither order, nor place, scale or mirrors change what stays', () => {
    fc.assert(
      fc.property(
        moved,
        fc.constantFrom('linear', 'gaussian'),
        ([{ boxes, scores, groups, order }, shift, power, axis], method) => {
          const options = { dim, method } as const;
          const { kept, scores: final } = softNms(boxes, scores, { ...options, groups });
          const byBox = new Map([...kept].map((box, i) => [box, final[i]!]));
          const shuffled = softNms(pickRows(boxes, order, 2 * dim), pickRows(scores, order), {
            ...options,
            groups: pickRows(groups, order),
          });
          // Boxes of the same final score may change places.
          expect([...shuffled.kept].map((i) => order[i]!).sort()).toEqual([...kept].sort());
          for (const [i, box] of shuffled.kept.entries()) expect(shuffled.scores[i]).toBeCloseTo(byBox.get(order[box]!)!, 12);
          for (const change of [boxes.map((v) => v + shift), boxes.map((v) => v * 2 ** power), mirrorBoxes(boxes, dim, axis)]) {
            expect(softNms(change, scores, { ...options, groups })).toEqual({ kept, scores: final });
          }
        },
      ),
    );
  });

  test('IoU, GIoU and DIoU: order goes into the matrix; place, scale, mirrors do not; a copy is 1', () => {
    fc.assert(
      fc.property(moved, ([{ boxes, order }, shift, power, axis]) => {
        for (const measure of [boxIou, boxGiou, boxDiou]) {
          const n = order.length;
          const matrix = measure(boxes, boxes, { dim });
          for (let i = 0; i < n; i++) expect(matrix[i * n + i]).toBe(1);
          const shuffled = measure(pickRows(boxes, order, 2 * dim), boxes, { dim });
          expect(shuffled).toEqual(pickRows(matrix, order, n));
          for (const change of [boxes.map((v) => v + shift), boxes.map((v) => v * 2 ** power), mirrorBoxes(boxes, dim, axis)]) {
            expect(measure(change, change, { dim })).toEqual(matrix);
          }
        }
      }),
    );
  });

  test('RoIAlign and its gradient: scale, mirrors, order and copies of boxes', () => {
    fc.assert(
      fc.property(seed, axis, (seed, axis) => {
        const { maps, boxes, options, dy } = randomRois(dim, seed);
        const [n, per] = [boxes.length / (2 * dim), product(options.poolSize as number[]) * options.channels];
        const pooled = pyramidRoiAlign(maps, boxes, options);
        const gradients = pyramidRoiAlignGrad(dy, maps, boxes, options);
        // Half the boxes' units are twice as many.
        const halved = maps.map((map) => ({ ...map, scale: map.scale.map((s) => s / 2) }));
        const doubled = boxes.map((v) => 2 * v);
        expectSame(pyramidRoiAlign(halved, doubled, options), pooled);
        const order = Array.from({ length: 2 * n }, (_, i) => (i * 7 + seed) % n);
        const shuffled = {
          ...options,
          images: pickRows(options.images!, order),
          levels: pickRows(options.levels, order),
        };
        expectSame(pyramidRoiAlign(maps, pickRows(boxes, order, 2 * dim), shuffled), pickRows(pooled, order, per));
        // `single` reads a single bin half a cell off, on one side: the original does so. Boxes that are not aligned grow to one side.
        const oneSided = options.sampling === 'single' ? (options.poolSize as number[])[axis] === 1 : !options.aligned;
        for (const { values, size, scale } of oneSided ? [] : maps) {
          // Inside the map, as a sample at the very edge of what counts may fall to either side of it.
          const inside = Float64Array.from(boxes, (v, i) => Math.min(Math.max(v, 0), size[i % dim]! / scale[i % dim]!));
          const mirrored = mirrorBoxes(inside, dim, axis, size[axis]! / scale[axis]!);
          const here = { ...options, levels: new Int32Array(n), samplingRatio: 2 };
          const plain = pyramidRoiAlign([{ values, size, scale }], inside, here);
          const turned = { values: mirrorCells(values, size, axis, options.channels), size, scale };
          const back = pyramidRoiAlign([turned], mirrored, here);
          mirrorCells(back, options.poolSize as number[], axis, options.channels).forEach((value, i) => {
            if (!(Math.abs(value - plain[i]!) < 1e-4)) throw new Error(`value ${i} is ${value}, expected ${plain[i]}`);
          });
        }
        // The gradient is the transpose: ⟨dy, pool(map)⟩ = ⟨grad, map⟩.
        const dot = (a: Float32Array, b: Float32Array) => a.reduce((sum, v, i) => sum + v * b[i]!, 0);
        const through = maps.reduce((sum, map, level) => sum + dot(gradients[level]!, map.values), 0);
        expect(Math.abs(through - dot(pooled, dy))).toBeLessThan(1e-3 * Math.max(1, Math.sqrt(dy.length)));
      }),
    );
  });

  test('levels: twice the size is one level up, and place and mirrors do not matter', () => {
    fc.assert(
      fc.property(moved, ([{ boxes }, shift, , axis]) => {
        const options = { dim, levels: 40, canonicalSize: 1, canonicalLevel: 20 };
        const levels = roiLevels(boxes, options);
        expect(
          roiLevels(
            boxes.map((v) => v + shift),
            options,
          ),
        ).toEqual(levels);
        expect(roiLevels(mirrorBoxes(boxes, dim, axis), options)).toEqual(levels);
        expect(
          roiLevels(
            boxes.map((v) => 4 * v),
            options,
          ),
        ).toEqual(levels.map((level) => level + 2));
      }),
    );
  });

  test('components: mirrors, scale of the values, place, and copies side by side', () => {
    fc.assert(
      fc.property(seed, axis, (seed, axis) => {
        const random = rng(`components ${seed}`);
        const size = Array.from({ length: dim }, () => random.integer(1, 8));
        const values = Uint8Array.from({ length: product(size) }, () => (random.next() < 0.5 ? random.integer(1, 3) : 0));
        const options = {
          ...{ dim, joins: random.next() < 0.5 ? 'equal' : 'nonzero' },
          connectivity: dim === 2 ? [4, 8][random.integer(0, 2)]! : [6, 18, 26][random.integer(0, 3)]!,
        } as Parameters<typeof connectedComponents>[1];
        const found = connectedComponents({ values, size }, options);
        expect(connectedComponents({ values: values.map((v) => 7 * v), size }, options).labels).toEqual(found.labels);
        const rows = (boxes: Int32Array, cells: Float64Array) =>
          Array.from(cells, (count, i) => [...boxes.subarray(i * 2 * dim, (i + 1) * 2 * dim), count].join()).sort();
        const mirrored = connectedComponents({ values: mirrorCells(values, size, axis), size }, options);
        expect(rows(mirrorBoxes(mirrored.boxes, dim, axis, size[axis]), mirrored.cells)).toEqual(rows(found.boxes, found.cells));
        // Twice along the first axis, with a layer of background between.
        const layer = new Uint8Array(product(size) / size[0]!);
        const twice = { values: Uint8Array.of(...values, ...layer, ...values), size: [2 * size[0]! + 1, ...size.slice(1)] };
        const both = connectedComponents(twice, options);
        const moved = found.boxes.map((v, i) => (i % dim === 0 ? v + size[0]! + 1 : v));
        expect(both.boxes).toEqual(Int32Array.of(...found.boxes, ...moved));
        expect(both.cells).toEqual(Float64Array.of(...found.cells, ...found.cells));
      }),
    );
  });

  test('resampling: it is linear in the values, channels do not mix, and whole steps round a ring turn it', () => {
    fc.assert(
      fc.property(seed, axis, fc.constantFrom('nearest', 'linear', 'cubic'), (seed, axis, order) => {
        const random = rng(`resample ${seed}`);
        const size = Array.from({ length: dim }, () => random.integer(1, 7));
        const cells = product(size);
        const values = Float32Array.from({ length: cells }, () => random.integer(-99, 99));
        const affine = Float64Array.from(
          { length: dim * (dim + 1) },
          (_, i) => (i % (dim + 2) === 0 ? 1 : 0) + random.normal(0, 0.3),
        );
        const options = { dim, affine, order, mode: 'mirror' } as const;
        const plain = resample({ values, size }, options);
        expect(resample({ values: values.map((v) => 4 * v), size }, options)).toEqual(plain.map((v) => 4 * v));
        const pair = Float32Array.from({ length: 2 * cells }, (_, i) => (i % 2 === 0 ? values[i >> 1]! : 0));
        const apart = resample({ values: pair, size, channels: 2 }, options);
        expect(apart).toEqual(Float32Array.from({ length: 2 * cells }, (_, i) => (i % 2 === 0 ? plain[i >> 1]! : 0)));
        const step = Array.from({ length: dim }, (_, d) => [
          ...Array.from({ length: dim }, (_, e) => (d === e ? 1 : 0)),
          d === axis ? 1 : 0,
        ]);
        const turned = resample({ values, size }, { dim, affine: step.flat(), order, mode: 'grid-wrap' });
        const inner = product(size.slice(axis + 1));
        const order1 = Array.from({ length: cells / inner }, (_, row) => {
          const at = row % size[axis]!;
          return row - at + ((at + 1) % size[axis]!);
        });
        pickRows(values, order1, inner).forEach((value, i) => {
          expect(turned[i]).toBeCloseTo(value, order === 'cubic' ? 3 : 10);
        });
      }),
    );
  });

  test('masks: order, place and mirrors of boxes move what is pasted, and cutting undoes pasting', () => {
    fc.assert(
      fc.property(seed, axis, (seed, axis) => {
        const random = rng(`masks ${seed}`);
        const [maskSize, size] = [Array.from({ length: dim }, () => random.integer(1, 5)), new Array<number>(dim).fill(11)];
        const n = random.integer(1, 4);
        const per = product(maskSize);
        const values = Float32Array.from({ length: n * per }, () => random.integer(0, 9));
        // Whole and half numbers, inside with room to move
        const boxes = Float64Array.from({ length: n * 2 * dim }, (_, i) =>
          i % (2 * dim) < dim ? random.integer(2, 10) / 2 : random.integer(12, 20) / 2,
        );
        const pasted = pasteMasks({ values, size: maskSize }, boxes, { dim, size });
        const order = Array.from({ length: 2 * n }, (_, i) => (i * 3 + seed) % n);
        const shuffled = pasteMasks({ values: pickRows(values, order, per), size: maskSize }, pickRows(boxes, order, 2 * dim), {
          dim,
          size,
        });
        expectSame(shuffled, pickRows(pasted, order, product(size)));
        const mirrored = pasteMasks(
          { values: mirrorCells(values, maskSize, axis), size: maskSize },
          mirrorBoxes(boxes, dim, axis, size[axis]),
          { dim, size },
        );
        mirrorCells(mirrored, size, axis).forEach((value, i) => {
          if (!(Math.abs(value - pasted[i]!) < 1e-4)) throw new Error(`cell ${i} is ${value}, expected ${pasted[i]}`);
        });
        // A mask whose cells are whole cells of the image comes back as it was.
        const binary = values.subarray(0, per).map((v) => (v > 4 ? 1 : 0));
        const place = Float64Array.from({ length: 2 * dim }, (_, i) => (i < dim ? 3 : 3 + maskSize[i - dim]!));
        const image = pasteMasks({ values: binary, size: maskSize }, place, { dim, size, threshold: 0.5 });
        // One bin per axis is read off its middle, as the original does; two and more are not.
        if (!maskSize.includes(1))
          expect([...cropMasks({ values: image, size }, place, { dim, poolSize: maskSize })]).toEqual([...binary]);
      }),
    );
  });
});
