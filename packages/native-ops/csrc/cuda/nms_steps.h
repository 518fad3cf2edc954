// Greedy non-maximum suppression on the device, from the sorted order to the list of survivors, without a word to the host.
// Same results as ../cpu/nms.h.
//
// Boxes stand group after group, best first. In every round each group decides its next kPanel boxes: a bit mask says which
// of them overlap, a walk through it settles who stays, and the survivors strike out later boxes of their group. The mask
// holds kPanel bits a box, so memory is linear in the number of boxes; all groups advance in the same round.
#pragma once

#include <cstring>

#include "../box.h"
#include "team.h"

namespace mdt::cuda {

constexpr int32_t kPanel = 512;
constexpr int32_t kWord = 64;  // boxes per word of the mask
constexpr int32_t kWords = kPanel / kWord;
constexpr int64_t kChunk = 256;  // items that one thread counts when a list is packed

template <int D>
struct NmsRow {
  Box<D> box;
  double size;
};

// `n` entries each, if not said otherwise. A box's rank is its place by score, its position is its place by group and score.
template <int D>
struct NmsState {
  int64_t n;
  double iou_threshold;
  double plus;
  int64_t max_boxes;
  const int32_t* groups;      // by box; null: one group
  const int32_t* by_score;    // box of a rank
  const int32_t* by_group;    // rank of a position
  NmsRow<D>* rows;            // by position
  int32_t* segment;           // number of the group of a position
  int32_t* starts;            // n + 1: first position of each group, then n
  int32_t* found;             // by group: survivors so far
  uint64_t* mask;             // kWords * n: bit b of [w * n + p]: p strikes the box b of word w of its panel
  uint8_t* struck;            // by position
  uint8_t* stays;             // by rank
  int32_t* chunks;            // (n + kChunk - 1) / kChunk + 1
  int32_t* segments;          // 1: how many groups
  int64_t* pending;           // 1: the last round that has work
};

// Sorts ascending from the best score to the worst, NaN last; 0 and -0 are equal.
MDT_HOST_DEVICE inline uint64_t score_key(double score) {
  if (score != score) return ~uint64_t{0};
  if (score == 0) score = 0;
  uint64_t bits;
  memcpy(&bits, &score, sizeof bits);
  const uint64_t sign = uint64_t{1} << 63;
  const uint64_t ascending = bits & sign ? ~bits : bits | sign;
  return ~ascending;
}

// Calls write(slot, i) for every i in [0, n) with keep(i), slots in the order of i, and leaves their number in chunks[last].
template <class Team, class Keep, class Write>
MDT_STEPS int32_t pack(const Team& team, int64_t n, int32_t* chunks, const Keep& keep, const Write& write) {
  const int64_t count = (n + kChunk - 1) / kChunk;
  const auto end = [&](int64_t c) { return (c + 1) * kChunk < n ? (c + 1) * kChunk : n; };
  team.each(count, [&](int64_t c) {
    int32_t kept = 0;
    for (int64_t i = c * kChunk; i < end(c); ++i) kept += keep(i) ? 1 : 0;
    chunks[c] = kept;
  });
  team.each(1, [&](int64_t) {
    int32_t before = 0;
    for (int64_t c = 0; c < count; ++c) {
      const int32_t kept = chunks[c];
      chunks[c] = before;
      before += kept;
    }
    chunks[count] = before;
  });
  team.each(count, [&](int64_t c) {
    int32_t slot = chunks[c];
    for (int64_t i = c * kChunk; i < end(c); ++i) {
      if (keep(i)) write(slot++, i);
    }
  });
  return chunks[count];
}

// Reads the boxes in their order and finds where groups begin.
template <int D, class Real, class Team>
MDT_STEPS void arrange(const Team& team, const NmsState<D>& s, const Real* boxes) {
  const auto group = [&](int64_t p) { return s.groups[s.by_score[s.by_group[p]]]; };
  team.each(s.n, [&](int64_t p) {
    const int64_t box = s.by_score[s.by_group[p]];
    for (int d = 0; d < D; ++d) {
      s.rows[p].box.min[d] = static_cast<double>(boxes[box * 2 * D + d]);
      s.rows[p].box.max[d] = static_cast<double>(boxes[box * 2 * D + D + d]);
    }
    s.rows[p].size = signed_size(s.rows[p].box, s.plus);
    s.struck[p] = 0;
    s.found[p] = 0;
    if (p == 0) *s.pending = 0;
  });
  const auto begins = [&](int64_t p) { return p == 0 || (s.groups != nullptr && group(p) != group(p - 1)); };
  const int32_t segments = pack(team, s.n, s.chunks, begins, [&](int32_t slot, int64_t p) {
    s.starts[slot] = static_cast<int32_t>(p);
  });
  team.each(s.n, [&](int64_t p) {
    int32_t low = 0;
    int32_t high = segments;
    while (high - low > 1) {
      const int32_t middle = low + (high - low) / 2;
      (s.starts[middle] <= p ? low : high) = middle;
    }
    s.segment[p] = low;
    if (p == 0) {
      s.starts[segments] = static_cast<int32_t>(s.n);
      *s.segments = segments;
    }
  });
}

template <int D>
MDT_STEPS bool strikes(const NmsState<D>& s, int64_t better, int64_t worse) {
  const NmsRow<D>& a = s.rows[better];
  const NmsRow<D>& b = s.rows[worse];
  return iou(a.box, a.size, b.box, b.size, s.plus) > s.iou_threshold;
}

// Bits of the mask for every box of this round's panels that is not struck yet.
template <int D, class Team>
MDT_STEPS void fill_mask(const Team& team, const NmsState<D>& s, int64_t round) {
  team.each(s.n * kWords, [&](int64_t item) {
    const int64_t p = item % s.n;
    const int64_t w = item / s.n;
    const int64_t start = s.starts[s.segment[p]] + round * kPanel;
    if (p < start || p >= start + kPanel || s.struck[p]) return;
    const int64_t end = s.starts[s.segment[p] + 1];
    const int64_t first = start + w * kWord;
    uint64_t bits = 0;
    for (int64_t q = first > p ? first : p + 1; q < first + kWord && q < end; ++q) {
      if (strikes(s, p, q)) bits |= uint64_t{1} << (q - first);
    }
    s.mask[w * s.n + p] = bits;
  });
}

// Walks through the panel of each group, a word of boxes at a time. What is not struck afterwards stays.
template <int D, class Team>
MDT_STEPS void settle(const Team& team, const NmsState<D>& s, int64_t round) {
  team.groups(*s.segments, [&](int64_t g, const auto& block) {
    const int64_t start = s.starts[g] + round * kPanel;
    const int64_t end = s.starts[g + 1] < start + kPanel ? s.starts[g + 1] : start + kPanel;
    for (int64_t w = 0; start + w * kWord < end; ++w) {
      const int64_t first = start + w * kWord;
      const int64_t last = first + kWord < end ? first + kWord : end;
      block.each(1, [&](int64_t) {
        uint64_t gone = 0;
        int32_t kept = 0;
        for (int64_t p = first; p < last; ++p) {
          if (s.struck[p]) continue;
          if ((gone >> (p - first)) & 1) {
            s.struck[p] = 1;
          } else {
            gone |= s.mask[w * s.n + p];
            ++kept;
          }
        }
        s.found[g] += kept;
      });
      block.each(end - last, [&](int64_t item) {
        const int64_t q = last + item;
        const int64_t column = (q - start) / kWord;
        const int64_t bit = (q - start) % kWord;
        bool gone = s.struck[q] != 0;
        for (int64_t p = first; p < last && !gone; ++p) gone = !s.struck[p] && ((s.mask[column * s.n + p] >> bit) & 1) != 0;
        if (gone) s.struck[q] = 1;
      });
    }
  });
}

// The survivors of the panels strike out later boxes of their groups, a word of survivors against a box at a time.
// Several items may strike the same box; they all write the same.
template <int D, class Team>
MDT_STEPS void strike_out(const Team& team, const NmsState<D>& s, int64_t round) {
  team.each(s.n * kWords, [&](int64_t item) {
    const int64_t p = item % s.n;
    const int64_t start = s.starts[s.segment[p]] + round * kPanel;
    if (p < start + kPanel || s.struck[p]) return;
    if (s.found[s.segment[p]] >= s.max_boxes) {  // its group alone fills the list
      s.struck[p] = 1;
      return;
    }
    const int64_t first = start + item / s.n * kWord;
    for (int64_t better = first; better < first + kWord; ++better) {
      if (s.struck[better] || !strikes(s, better, p)) continue;
      s.struck[p] = 1;
      return;
    }
    *s.pending = round + 1;
  });
}

// Fills `kept` with the indices of the survivors, best first, and `kept_count`; `s` need not be initialised.
template <int D, class Real, class Team>
MDT_STEPS void nms_steps(const Team& team, const NmsState<D>& s, const Real* boxes, int32_t* kept, int32_t* kept_count) {
  arrange(team, s, boxes);
  for (int64_t round = 0; *s.pending == round; ++round) {
    fill_mask(team, s, round);
    settle(team, s, round);
    strike_out(team, s, round);
  }
  team.each(s.n, [&](int64_t p) { s.stays[s.by_group[p]] = s.struck[p] ? 0 : 1; });
  const int32_t count = pack(team, s.n, s.chunks, [&](int64_t rank) { return s.stays[rank] != 0; },
                             [&](int32_t slot, int64_t rank) {
                               if (slot < s.max_boxes) kept[slot] = s.by_score[rank];
                             });
  team.each(1, [&](int64_t) { *kept_count = static_cast<int32_t>(count < s.max_boxes ? count : s.max_boxes); });
}

}  // namespace mdt::cuda
