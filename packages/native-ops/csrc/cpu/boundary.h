// How an array goes on beyond its border. Names and meanings are those of scipy.ndimage. Twin: src/reference/boundary.ts
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>

namespace mdt {

enum class Boundary : int32_t {
  kConstant,      // positions outside [0, n - 1] have the fill value, no interpolation across the border
  kGridConstant,  // cells outside have the fill value, and the border is interpolated towards them
  kNearest,       // a a a | a b c d | d d d
  kMirror,        // d c b | a b c d | c b a
  kReflect,       // c b a | a b c d | d c b
  kGridWrap,      // b c d | a b c d | a b c
};

constexpr int64_t kOutside = -1;

// The cell of `n` that stands for the whole number `index`, or kOutside.
inline int64_t fold(double index, int64_t n, Boundary boundary) {
  const auto cells = static_cast<double>(n);
  if (index >= 0 && index < cells) return static_cast<int64_t>(index);
  const auto wrap = [&](double period) { return index - period * std::floor(index / period); };
  double cell = index;
  switch (boundary) {
    case Boundary::kGridConstant:
      return kOutside;
    case Boundary::kNearest:
      break;
    case Boundary::kConstant:  // only asked about neighbours of positions that are inside
    case Boundary::kMirror: {
      if (n == 1) return 0;
      cell = wrap(2 * cells - 2);
      if (cell >= cells) cell = 2 * cells - 2 - cell;
      break;
    }
    case Boundary::kReflect:
      cell = wrap(2 * cells);
      if (cell >= cells) cell = 2 * cells - 1 - cell;
      break;
    case Boundary::kGridWrap:
      cell = wrap(cells);
      break;
  }
  return static_cast<int64_t>(std::min(std::max(cell, 0.0), cells - 1));
}

}  // namespace mdt
