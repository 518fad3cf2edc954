// Cells of a row of the result, worked on side by side: where they read, and linear interpolation inside the source.
#pragma once

#include <algorithm>
#include <cstdint>

#include "clones.h"

namespace mdt {

constexpr int kChunk = 16;

// Where each cell of the result reads: matrix * (index + displacement) + offset, or at `coordinates`, in cells of the source.
template <int D>
struct Positions {
  double affine[D][D + 1];    // rows [matrix | offset]
  const float* displacement;  // [...out_size, D] or null
  const float* coordinates;   // [...out_size, D] or null: then nothing else counts
};

template <int D>
struct Chunk {
  double from[D][kChunk];      // displaced indices
  double position[D][kChunk];  // in cells of the source
  double outside[kChunk];      // 1 where a position is not in [0, size - 1) along every axis; its base is then any cell
  double share[D][kChunk];     // of the higher of the two neighbours along the axis
  int64_t base[kChunk];        // of the lowest neighbour, counted in values
  double corners[1 << D][kChunk];  // the neighbours; bit D - 1 - d says which one along axis d
};

namespace resample_chunk_detail {

template <int D>
MDT_INTO_CLONES void transform(const Positions<D>& positions, Chunk<D>& chunk) {
  for (int d = 0; d < D; ++d) {
    for (int k = 0; k < kChunk; ++k) {
      double sum = positions.affine[d][D];
      for (int e = 0; e < D; ++e) sum += positions.affine[d][e] * chunk.from[e][k];
      chunk.position[d][k] = sum;
    }
  }
}

template <int D>
MDT_INTO_CLONES int place(const int64_t* size, const int64_t* strides, double shift, Chunk<D>& chunk) {
  // Whole numbers in doubles, which vectorise everywhere.
  double base[kChunk] = {};
  for (int k = 0; k < kChunk; ++k) chunk.outside[k] = 0;
  for (int d = 0; d < D; ++d) {
    const auto last = static_cast<double>(size[d] - 1);
    const auto stride = static_cast<double>(strides[d]);
    for (int k = 0; k < kChunk; ++k) {
      const double at = chunk.position[d][k];
      double inside = at >= 0 ? at : 0.0;
      inside = inside < last ? inside : 0.0;
      const auto low = static_cast<double>(static_cast<int32_t>(inside + shift));
      chunk.outside[k] = inside == at ? chunk.outside[k] : 1.0;
      base[k] += low * stride;
      chunk.share[d][k] = inside - low;
    }
  }
  double count = 0;
  for (int k = 0; k < kChunk; ++k) {
    count += chunk.outside[k];
    chunk.base[k] = static_cast<int64_t>(base[k]);
  }
  return static_cast<int>(count);
}

// Folds the corners along one axis after the other, the last axis first; the result is in corners[0].
template <int D>
MDT_INTO_CLONES void interpolate(Chunk<D>& chunk) {
  for (int d = D - 1; d >= 0; --d) {
    for (int pair = 0; pair < 1 << d; ++pair) {
      for (int k = 0; k < kChunk; ++k) {
        const double t = chunk.share[d][k];
        const double low = chunk.corners[2 * pair][k];
        const double high = chunk.corners[2 * pair + 1][k];
        // A neighbour of no weight does not count, were it infinite; and a sum that begins at 0 is never -0.
        const double sum = 0.0 + (1 - t) * low;
        chunk.corners[pair][k] = t > 0 ? sum + t * high : sum;
      }
    }
  }
}

}  // namespace resample_chunk_detail

// From displaced indices to positions.
MDT_CLONES static void transform(const Positions<2>& positions, Chunk<2>& chunk) {
  resample_chunk_detail::transform<2>(positions, chunk);
}
MDT_CLONES static void transform(const Positions<3>& positions, Chunk<3>& chunk) {
  resample_chunk_detail::transform<3>(positions, chunk);
}

// Finds `base` and `share`, where `shift` is 0 for the lower neighbours and 1/2 for the nearest ones. Gives the number of cells
// that are `outside`.
MDT_CLONES static int place(const int64_t* size, const int64_t* strides, double shift, Chunk<2>& chunk) {
  return resample_chunk_detail::place<2>(size, strides, shift, chunk);
}
MDT_CLONES static int place(const int64_t* size, const int64_t* strides, double shift, Chunk<3>& chunk) {
  return resample_chunk_detail::place<3>(size, strides, shift, chunk);
}

// Linear interpolation between the corners; leaves the values in corners[0].
MDT_CLONES static void interpolate(Chunk<2>& chunk) { resample_chunk_detail::interpolate<2>(chunk); }
MDT_CLONES static void interpolate(Chunk<3>& chunk) { resample_chunk_detail::interpolate<3>(chunk); }

// Positions of the cells first, first + 1, ... of a row that has `width` of them and begins at `index` and `row_cell`. Cells
// behind its end read where its last one does.
template <int D>
void place_cells(const Positions<D>& positions, const int64_t* index, int64_t row_cell, int64_t first, int64_t width,
                 Chunk<D>& chunk) {
  const float* vectors = positions.coordinates ? positions.coordinates : positions.displacement;
  auto& to = positions.coordinates ? chunk.position : chunk.from;
  for (int k = 0; k < kChunk; ++k) {
    const int64_t x = std::min(first + k, width - 1);
    for (int d = 0; d < D; ++d) {
      const double from = positions.coordinates ? 0.0 : static_cast<double>(d == D - 1 ? x : index[d]);
      to[d][k] = vectors ? from + static_cast<double>(vectors[(row_cell + x) * D + d]) : from;
    }
  }
  if (!positions.coordinates) transform(positions, chunk);
}

}  // namespace mdt
