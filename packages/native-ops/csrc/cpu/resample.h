// Reads an array at transformed positions. Twin: src/reference/resample.ts
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <optional>
#include <type_traits>
#include <vector>

#include "../parallel.h"
#include "boundary.h"
#include "resample_chunk.h"
#include "spline.h"

namespace mdt {

enum class Interpolation : int32_t { kNearest, kLinear, kCubic };

template <int D, class T>
struct ResampleSource {
  const T* values;  // [...size, channels]
  int64_t size[D];
  int64_t channels;
};

namespace resample_detail {

// To the type of the result: whole numbers are rounded, halves away from 0, and cut to their range.
template <class T>
T to_value(double value) {
  if constexpr (std::is_floating_point_v<T>) {
    return static_cast<T>(value);
  } else {
    if (std::isnan(value)) return 0;
    const double low = std::numeric_limits<T>::lowest();
    const double high = std::numeric_limits<T>::max();
    return static_cast<T>(std::min(std::max(std::trunc(value + (value > 0 ? 0.5 : -0.5)), low), high));
  }
}

// Calls `visit(index, cell)` for every cell of the rows [begin, end): all axes but the last one make a row.
template <int D, class Visit>
void each_cell(const int64_t* size, int64_t begin, int64_t end, const Visit& visit) {
  for (int64_t row = begin; row < end; ++row) {
    int64_t index[D];
    int64_t rest = row;
    for (int d = D - 2; d >= 0; --d) {
      index[d] = rest % size[d];
      rest /= size[d];
    }
    for (index[D - 1] = 0; index[D - 1] < size[D - 1]; ++index[D - 1]) visit(index, row * size[D - 1] + index[D - 1]);
  }
}

// The cells that one position reads along one axis, with their weights.
template <int Taps>
struct AxisTaps {
  int64_t cells[Taps];
  double weights[Taps];
};

inline AxisTaps<1> nearest_taps(double position, int64_t n, Boundary boundary) {
  return {{fold(std::floor(position + 0.5), n, boundary)}, {1}};
}

inline AxisTaps<2> linear_taps(double position, int64_t n, Boundary boundary) {
  const double low = std::floor(position);
  const double share = position - low;
  return {{fold(low, n, boundary), fold(low + 1, n, boundary)}, {1 - share, share}};
}

// Weights of the four B-splines over a position that lies `t` behind the second one.
inline void cubic_weights(double t, double* weights) {
  const double u = 1 - t;
  weights[0] = u * u * u / 6;
  weights[1] = (4 - 6 * t * t + 3 * t * t * t) / 6;
  weights[2] = (4 - 6 * u * u + 3 * u * u * u) / 6;
  weights[3] = t * t * t / 6;
}

inline AxisTaps<4> cubic_taps(double position, int64_t n, Boundary border) {
  const double low = std::floor(position);
  AxisTaps<4> taps;
  for (int k = 0; k < 4; ++k) taps.cells[k] = fold(low - 1 + k, n, border);
  cubic_weights(position - low, taps.weights);
  return taps;
}

// Sum of the products of weights and values over all cells of the taps, the last axis innermost.
template <int D, int Taps, class T>
double sum_taps(const T* values, const int64_t* size, int64_t channels, const AxisTaps<Taps>* taps, double fill) {
  const auto descend = [&](const auto& self, int d, int64_t cell) -> double {
    if (d == D) return static_cast<double>(values[cell * channels]);
    double sum = 0;
    for (int k = 0; k < Taps; ++k) {
      if (taps[d].weights[k] == 0) continue;
      const bool outside = taps[d].cells[k] == kOutside;
      sum += taps[d].weights[k] * (outside ? fill : self(self, d + 1, cell * size[d] + taps[d].cells[k]));
    }
    return sum;
  };
  return descend(descend, 0, 0);
}

template <int D>
bool is_inside(const double* position, const int64_t* size, double margin_low, double margin_high) {
  for (int d = 0; d < D; ++d) {
    if (!(position[d] >= margin_low && position[d] < static_cast<double>(size[d]) - margin_high)) return false;
  }
  return true;
}

// Whether a position reads the fill value and nothing else.
template <int D>
bool is_void(const double* position, const int64_t* size, Boundary boundary) {
  for (int d = 0; d < D; ++d) {
    if (!std::isfinite(position[d])) return true;
    if (boundary != Boundary::kConstant) continue;
    if (position[d] < 0 || position[d] > static_cast<double>(size[d] - 1)) return true;
  }
  return false;
}

// The cells of a chunk by linear interpolation; those outside the source get any value.
template <int D, class T>
void read_linear(const T* values, const int64_t* strides, int64_t channels, int count, Chunk<D>& chunk, T* out) {
  for (int64_t c = 0; c < channels; ++c) {
    for (int corner = 0; corner < 1 << D; ++corner) {
      int64_t offset = c;
      for (int d = 0; d < D; ++d) offset += ((corner >> (D - 1 - d)) & 1) * strides[d];
      for (int k = 0; k < kChunk; ++k) chunk.corners[corner][k] = static_cast<double>(values[chunk.base[k] + offset]);
    }
    interpolate(chunk);
    for (int k = 0; k < count; ++k) out[k * channels + c] = to_value<T>(chunk.corners[0][k]);
  }
}

// The sum over the 4^D coefficients around a position; `base` is the first of them.
template <int D>
double cubic_inside(const float* base, const int64_t* strides, const float (*weights)[4]) {
  float sums[4] = {};
  const auto add = [&](const float* row, float weight) {
    for (int k = 0; k < 4; ++k) sums[k] += weight * row[k * strides[D - 1]];
  };
  for (int i = 0; i < 4; ++i) {
    if constexpr (D == 2) {
      add(base + i * strides[0], weights[0][i]);
    } else {
      for (int j = 0; j < 4; ++j) add(base + i * strides[0] + j * strides[1], weights[0][i] * weights[1][j]);
    }
  }
  double sum = 0;
  for (int k = 0; k < 4; ++k) sum += static_cast<double>(sums[k] * weights[D - 1][k]);
  return sum;
}

// Coefficients of the source, padded where the boundary asks for it.
template <int D, class T>
std::vector<float> spline_coefficients(const ResampleSource<D, T>& source, Boundary boundary, double fill, ThreadTeam& team,
                                       int64_t* size) {
  const int64_t padding = spline_padding(boundary);
  int64_t rows = 1;
  for (int d = 0; d < D; ++d) {
    size[d] = source.size[d] + 2 * padding;
    if (d + 1 < D) rows *= size[d];
  }
  const int64_t width = size[D - 1] * source.channels;
  std::vector<float> values(rows * width);
  team.for_ranges(rows, std::max<int64_t>(1, 4096 / width), [&](int64_t begin, int64_t end) {
    each_cell<D>(size, begin, end, [&](const int64_t* index, int64_t cell) {
      int64_t from = 0;
      bool outside = false;
      for (int d = 0; d < D; ++d) {
        const int64_t at = fold(static_cast<double>(index[d] - padding), source.size[d], boundary);
        outside = outside || at == kOutside;
        from = from * source.size[d] + at;
      }
      for (int64_t c = 0; c < source.channels; ++c) {
        values[cell * source.channels + c] =
            outside ? static_cast<float>(fill) : static_cast<float>(source.values[from * source.channels + c]);
      }
    });
  });
  spline_filter<D>(values.data(), size, source.channels, boundary, team);
  return values;
}

}  // namespace resample_detail

// out [...out_size, channels]. A position that is not finite gives the fill value.
template <int D, class T>
void resample(const ResampleSource<D, T>& source, const Positions<D>& positions, const int64_t* out_size,
              Interpolation interpolation, Boundary boundary, double fill, const Execution& execution, T* out) {
  namespace detail = resample_detail;
  constexpr int64_t kWorthThreads = 1 << 14;  // cells of the result or, for splines, of the source
  constexpr int64_t kCells = 1 << 12;         // handed to a thread at once
  const int64_t channels = source.channels;
  int64_t rows = 1;
  int64_t cells = 1;
  for (int d = 0; d < D; ++d) {
    cells *= source.size[d];
    if (d + 1 < D) rows *= out_size[d];
  }
  const bool cubic = interpolation == Interpolation::kCubic;
  ThreadTeam team(execution, rows * out_size[D - 1] >= kWorthThreads || (cubic && cells >= kWorthThreads));

  int64_t size[D];
  std::copy(source.size, source.size + D, size);
  std::vector<float> coefficients;
  if (cubic) coefficients = detail::spline_coefficients(source, boundary, fill, team, size);
  const auto padding = static_cast<double>(cubic ? spline_padding(boundary) : 0);
  int64_t strides[D];
  strides[D - 1] = channels;
  for (int d = D - 1; d > 0; --d) strides[d - 1] = strides[d] * size[d];
  const T blank = detail::to_value<T>(fill);

  const auto read = [&](const double* position, T* to) {
    if (detail::is_void<D>(position, source.size, boundary)) {
      std::fill_n(to, channels, blank);
      return;
    }
    if (interpolation == Interpolation::kNearest) {
      int64_t cell = 0;
      for (int d = 0; d < D; ++d) {
        const int64_t at = detail::nearest_taps(position[d], size[d], boundary).cells[0];
        if (at == kOutside) {
          std::fill_n(to, channels, blank);
          return;
        }
        cell += at * strides[d];
      }
      std::copy_n(source.values + cell, channels, to);
    } else if (interpolation == Interpolation::kLinear) {
      detail::AxisTaps<2> taps[D];
      for (int d = 0; d < D; ++d) taps[d] = detail::linear_taps(position[d], size[d], boundary);
      for (int64_t c = 0; c < channels; ++c) {
        to[c] = detail::to_value<T>(detail::sum_taps<D, 2>(source.values + c, size, channels, taps, fill));
      }
    } else {
      double padded[D];
      for (int d = 0; d < D; ++d) {
        padded[d] = position[d] + padding;
        // Behind the padding the spline is as constant as the array.
        if (padding > 0) padded[d] = std::min(std::max(padded[d], 0.0), static_cast<double>(size[d] - 1));
      }
      if (detail::is_inside<D>(padded, size, 1, 2)) {
        float weights[D][4];
        int64_t base = 0;
        for (int d = 0; d < D; ++d) {
          const auto low = static_cast<int64_t>(padded[d]);
          double exact[4];
          detail::cubic_weights(padded[d] - static_cast<double>(low), exact);
          for (int k = 0; k < 4; ++k) weights[d][k] = static_cast<float>(exact[k]);
          base += (low - 1) * strides[d];
        }
        for (int64_t c = 0; c < channels; ++c) {
          to[c] = detail::to_value<T>(detail::cubic_inside<D>(coefficients.data() + base + c, strides, weights));
        }
        return;
      }
      detail::AxisTaps<4> taps[D];
      for (int d = 0; d < D; ++d) taps[d] = detail::cubic_taps(padded[d], size[d], spline_border(boundary));
      for (int64_t c = 0; c < channels; ++c) {
        to[c] = detail::to_value<T>(detail::sum_taps<D, 4>(coefficients.data() + c, size, channels, taps, fill));
      }
    }
  };

  const int64_t width = out_size[D - 1];
  const float* dense = positions.coordinates ? positions.coordinates : positions.displacement;
  const bool sparse = positions.step > 1 && dense == positions.displacement && dense != nullptr;
  team.for_ranges(rows, std::max<int64_t>(1, kCells / width), [&](int64_t begin, int64_t end) {
    std::optional<DisplacementRow<D>> between;
    if (sparse) between.emplace(positions, out_size);
    Chunk<D> chunk;
    int64_t index[D];
    for (int64_t row = begin; row < end; ++row) {
      int64_t rest = row;
      for (int d = D - 2; d >= 0; --d) {
        index[d] = rest % out_size[d];
        rest /= out_size[d];
      }
      const double* vectors = between ? between->read(index) : nullptr;
      for (int64_t first = 0; first < width; first += kChunk) {
        const auto count = static_cast<int>(std::min<int64_t>(kChunk, width - first));
        T* to = out + (row * width + first) * channels;
        if (between) {
          place_cells(positions, index, vectors, first, width, chunk);
        } else {
          place_cells(positions, index, dense ? dense + row * width * D : nullptr, first, width, chunk);
        }
        // Where all cells are outside, an axis may have no second neighbour.
        const int outside = cubic ? kChunk : place(size, strides, interpolation == Interpolation::kLinear ? 0 : 0.5, chunk);
        if (outside < kChunk && interpolation == Interpolation::kLinear) {
          detail::read_linear(source.values, strides, channels, count, chunk, to);
        } else if (outside < kChunk && channels == 1) {  // a loop, as calls that copy one value each take longer
          for (int k = 0; k < count; ++k) to[k] = source.values[chunk.base[k]];
        } else if (outside < kChunk) {
          for (int k = 0; k < count; ++k) std::copy_n(source.values + chunk.base[k], channels, to + k * channels);
        }
        for (int k = 0; outside > 0 && k < count; ++k) {
          if (!cubic && chunk.outside[k] == 0) continue;
          double position[D];
          for (int d = 0; d < D; ++d) position[d] = chunk.position[d][k];
          read(position, to + k * channels);
        }
      }
    }
  });
}

}  // namespace mdt
