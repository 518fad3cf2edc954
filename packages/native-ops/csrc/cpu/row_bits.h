// Rows of cells as bits, 64 to a word, the first cell lowest: where a row is not 0, and where its runs start. Runs are maximal
// stretches of cells that belong together, numbered along the row and from row to row.
#pragma once

#if defined(_MSC_VER)
#include <intrin.h>
#endif

#include <algorithm>
#include <bitset>
#include <cstdint>

#include "clones.h"

namespace mdt {

struct RowWord {
  uint64_t on;      // cells that are not 0
  uint64_t starts;  // the first cells of runs
  int32_t earlier;  // runs that start in earlier words
};

namespace row_bits {

constexpr int64_t kCells = 64;

// Place of the lowest bit of a word that is not 0.
inline int lowest(uint64_t word) {
#if defined(_MSC_VER)
  unsigned long place;
  _BitScanForward64(&place, word);
  return static_cast<int>(place);
#else
  return __builtin_ctzll(word);
#endif
}

MDT_INTO_CLONES int32_t count(uint64_t word) { return static_cast<int32_t>(std::bitset<64>(word).count()); }

// One bit for each of `n` flags of 0 or 1, n at most 64. Eight at a time: the product gathers the lowest bits of eight bytes in
// its highest byte.
inline uint64_t pack(const uint8_t* flags, int64_t n) {
  uint64_t word = 0;
  int64_t i = 0;
  for (; i + 8 <= n; i += 8) {
    uint64_t eight = 0;
    for (int64_t k = 0; k < 8; ++k) eight |= static_cast<uint64_t>(flags[i + k]) << (8 * k);
    word |= ((eight * 0x0102040810204080u) >> 56) << i;
  }
  for (; i < n; ++i) word |= static_cast<uint64_t>(flags[i]) << i;
  return word;
}

}  // namespace row_bits

inline int64_t words_per_row(int64_t width) { return (width + row_bits::kCells - 1) / row_bits::kCells; }

// Writes the words of a row before which there were `runs` runs; returns how many there are behind it. With `equal`, a run ends
// where the value changes.
template <class T>
int32_t row_words(const T* cells, int64_t width, bool equal, int32_t runs, RowWord* words) {
  uint8_t flags[row_bits::kCells];
  uint64_t last = 0;  // whether the cell before the word is on
  for (int64_t x = 0; x < width; x += row_bits::kCells, ++words) {
    const T* here = cells + x;
    const int64_t n = std::min(row_bits::kCells, width - x);
    for (int64_t i = 0; i < n; ++i) flags[i] = here[i] != T(0);
    words->on = row_bits::pack(flags, n);
    uint64_t change = 0;
    if (equal && words->on != 0) {
      flags[0] = x > 0 && here[0] != here[-1];
      for (int64_t i = 1; i < n; ++i) flags[i] = here[i] != here[i - 1];
      change = row_bits::pack(flags, n);
    }
    words->starts = words->on & (~(words->on << 1 | last) | change);
    words->earlier = runs;
    runs += row_bits::count(words->starts);
    last = words->on >> 63;
  }
  return runs;
}

// A run of one row that touches a run of another, and the cells where they do. Runs count from 1.
struct Touch {
  int32_t run_a;
  int32_t run_b;
  int32_t cell_a;
  int32_t cell_b;
};

namespace row_bits {

// Writes what touches in one word at `x`: cells beside each other and, with `corners`, by a corner. `after_a`, `after_b`: whether
// the last cells of the words before are on.
MDT_INTO_CLONES Touch* touches(const RowWord& a, const RowWord& b, uint64_t after_a, uint64_t after_b, bool corners, int32_t x,
                               Touch* out) {
  // Where two runs lie side by side, one of them starts at the first such cell.
  for (uint64_t at = (a.starts & b.on) | (b.starts & a.on); at != 0; at &= at - 1, ++out) {
    const uint64_t until = at ^ (at - 1);  // the lowest bit and those below
    const int32_t cell = x + lowest(at);
    *out = {a.earlier + count(a.starts & until), b.earlier + count(b.starts & until), cell, cell};
  }
  if (!corners) return out;
  // By a corner a run meets one that starts where it ends.
  const uint64_t ends_a = (a.on << 1 | after_a) & (a.starts | ~a.on);
  const uint64_t ends_b = (b.on << 1 | after_b) & (b.starts | ~b.on);
  for (uint64_t at = a.starts & ends_b; at != 0; at &= at - 1, ++out) {
    const uint64_t below = (at ^ (at - 1)) >> 1;
    const int32_t cell = x + lowest(at);
    *out = {a.earlier + count(a.starts & below) + 1, b.earlier + count(b.starts & below), cell, cell - 1};
  }
  for (uint64_t at = b.starts & ends_a; at != 0; at &= at - 1, ++out) {
    const uint64_t below = (at ^ (at - 1)) >> 1;
    const int32_t cell = x + lowest(at);
    *out = {a.earlier + count(a.starts & below), b.earlier + count(b.starts & below) + 1, cell - 1, cell};
  }
  return out;
}

}  // namespace row_bits

// Touches that a word can have with another, at most.
constexpr int64_t kWordTouches = 3 * row_bits::kCells;

// Writes what touches in words [first, last) of two rows; returns how many. `out` has room for `kWordTouches` a word.
MDT_CLONES static int64_t touching_runs(const RowWord* a, const RowWord* b, int64_t first, int64_t last, bool corners, Touch* out) {
  Touch* const begin = out;
  uint64_t after_a = first > 0 ? a[first - 1].on >> 63 : 0;
  uint64_t after_b = first > 0 ? b[first - 1].on >> 63 : 0;
  for (int64_t w = first; w < last; ++w) {
    const auto x = static_cast<int32_t>(w * row_bits::kCells);
    if ((a[w].on | after_a) != 0) out = row_bits::touches(a[w], b[w], after_a, after_b, corners, x, out);
    after_a = a[w].on >> 63;
    after_b = b[w].on >> 63;
  }
  return out - begin;
}

}  // namespace mdt
