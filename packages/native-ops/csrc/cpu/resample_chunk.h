// Cells of a row of the result, worked on side by side: where they read, and linear interpolation inside the source.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "clones.h"

namespace mdt {

constexpr int kChunk = 16;

// Where each cell of the result reads: matrix * (index + displacement) + offset, or at `coordinates`, in cells of the source.
template <int D>
struct Positions {
  double affine[D][D + 1];    // rows [matrix | offset]
  const float* displacement;  // [...vectors_along(out_size, step), D] or null
  int64_t step;               // cells of the result from one displacement to the next; between them is interpolated linearly
  const float* coordinates;   // [...out_size, D] or null: then nothing else counts
};

inline int64_t vectors_along(int64_t cells, int64_t step) { return (cells - 1 + step - 1) / step + 1; }

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

// Between two values, where a neighbour of no weight does not count.
MDT_INTO_CLONES double between(double share, double low, double high) {
  return share > 0 ? (1 - share) * low + share * high : low;
}

}  // namespace resample_chunk_detail

// Of `count` values each: the rows of vectors around a row of the result, folded along all axes but the last one.
MDT_CLONES static void fold_rows(const float* const* rows, const double* share, int axes, int64_t count, double* out) {
  namespace detail = resample_chunk_detail;
  if (axes == 1) {
    for (int64_t i = 0; i < count; ++i) out[i] = detail::between(share[0], rows[0][i], rows[1][i]);
  } else {
    for (int64_t i = 0; i < count; ++i) {
      const double low = detail::between(share[0], rows[0][i], rows[2][i]);
      out[i] = detail::between(share[1], low, detail::between(share[0], rows[1][i], rows[3][i]));
    }
  }
}

// The displacements of a row of the result, where vectors lie `step` cells apart.
template <int D>
class DisplacementRow {
 public:
  DisplacementRow(const Positions<D>& positions, const int64_t* out_size)
      : vectors_(positions.displacement), step_(positions.step), width_(out_size[D - 1]) {
    for (int d = 0; d < D; ++d) size_[d] = vectors_along(out_size[d], step_);
    const int64_t places = std::min(step_, *std::max_element(out_size, out_size + D));
    for (int64_t k = 0; k < places; ++k) shares_.push_back(static_cast<double>(k) / static_cast<double>(step_));
    folded_.resize(size_[D - 1] * D);
    row_.resize(width_ * D);
  }

  // [width, D]
  const double* read(const int64_t* index) {
    const float* rows[1 << (D - 1)];
    double share[D - 1];
    for (int d = 0; d < D - 1; ++d) share[d] = shares_[index[d] % step_];
    for (int corner = 0; corner < 1 << (D - 1); ++corner) {
      int64_t row = 0;
      for (int d = 0; d < D - 1; ++d) {
        const int64_t higher = (corner >> (D - 2 - d)) & 1;
        row = row * size_[d] + std::min(index[d] / step_ + higher, size_[d] - 1);
      }
      rows[corner] = vectors_ + row * size_[D - 1] * D;
    }
    fold_rows(rows, share, D - 1, size_[D - 1] * D, folded_.data());
    double* to = row_.data();
    const double* low = folded_.data();
    for (int64_t first = 0; first < width_; first += step_, low += D) {
      const int64_t count = std::min(step_, width_ - first);
      for (int d = 0; d < D; ++d) *to++ = low[d];
      for (int64_t k = 1; k < count; ++k) {
        const double along = shares_[k];
        for (int d = 0; d < D; ++d) *to++ = resample_chunk_detail::between(along, low[d], low[d + D]);
      }
    }
    return row_.data();
  }

 private:
  const float* vectors_;
  int64_t step_;
  int64_t width_;
  int64_t size_[D];
  std::vector<double> shares_;  // of the higher neighbour, by the cell's place between both
  std::vector<double> folded_;
  std::vector<double> row_;
};

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

// Positions of the cells first, first + 1, ... of a row that has `width` of them and begins at `index`. `vectors` are the row's
// coordinates or displacements, [width, D], or null. Cells behind its end read where its last one does.
template <int D, class V>
void place_cells(const Positions<D>& positions, const int64_t* index, const V* vectors, int64_t first, int64_t width,
                 Chunk<D>& chunk) {
  auto& to = positions.coordinates ? chunk.position : chunk.from;
  for (int k = 0; k < kChunk; ++k) {
    const int64_t x = std::min(first + k, width - 1);
    for (int d = 0; d < D; ++d) {
      const double from = positions.coordinates ? 0.0 : static_cast<double>(d == D - 1 ? x : index[d]);
      to[d][k] = vectors ? from + static_cast<double>(vectors[x * D + d]) : from;
    }
  }
  if (!positions.coordinates) transform(positions, chunk);
}

}  // namespace mdt
