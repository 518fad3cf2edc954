// Matrices turned round, with a change of type.
#pragma once
#include <ATen/Parallel.h>

#include <algorithm>
#include <cstdint>

namespace mdt {

struct Matrices {
  int64_t count, rows, columns;
};

// One tile of at most kTile by kTile elements; a whole one runs through a buffer of fixed size, which compilers unroll.
constexpr int64_t kTile = 16;
template <class From, class To>
inline void transpose_tile(const From* from, int64_t rows, int64_t columns, int64_t from_step, int64_t to_step, To* to) {
  if (rows == kTile && columns == kTile) {
    float tile[kTile][kTile];
    for (int64_t r = 0; r < kTile; r++) {
      for (int64_t c = 0; c < kTile; c++) tile[r][c] = static_cast<float>(from[r * from_step + c]);
    }
    for (int64_t c = 0; c < kTile; c++) {
      for (int64_t r = 0; r < kTile; r++) to[c * to_step + r] = static_cast<To>(tile[r][c]);
    }
    return;
  }
  for (int64_t c = 0; c < columns; c++) {
    for (int64_t r = 0; r < rows; r++) to[c * to_step + r] = static_cast<To>(static_cast<float>(from[r * from_step + c]));
  }
}

// Each [rows, columns] → [columns, rows].
template <class From, class To>
void transpose(const From* from, const Matrices& m, To* to) {
  constexpr int64_t kColumns = 4 * kTile;  // whole lines of memory, and the next ones
  const int64_t across = (m.columns + kColumns - 1) / kColumns;
  const int64_t least = std::max<int64_t>(1, 32768 / (kColumns * std::max<int64_t>(1, m.rows)));  // what repays a thread
  at::parallel_for(0, m.count * across, least, [&](int64_t first, int64_t last) {
    for (int64_t index = first; index < last; index++) {
      const int64_t matrix = index / across * m.rows * m.columns, begin = index % across * kColumns, end = std::min(m.columns, begin + kColumns);
      for (int64_t r = 0; r < m.rows; r += kTile) {
        for (int64_t c = begin; c < end; c += kTile) {
          transpose_tile(from + matrix + r * m.columns + c, std::min(kTile, m.rows - r), std::min(kTile, end - c), m.columns, m.rows, to + matrix + c * m.rows + r);
        }
      }
    }
  });
}

}  // namespace mdt
