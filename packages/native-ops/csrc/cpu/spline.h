// Coefficients of the cubic B-spline that goes through the values of an array (Unser, Aldroubi and Eden 1993), as
// scipy.ndimage.spline_filter computes them. Twin: src/reference/spline.ts
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "../parallel.h"
#include "boundary.h"
#include "clones.h"

namespace mdt {

// The border that the coefficients of each boundary are continued by. Fill and nearest values have no closed form here: the
// array is padded instead, and the spline forgets what lies behind the padding.
inline Boundary spline_border(Boundary boundary) {
  return boundary == Boundary::kReflect || boundary == Boundary::kGridWrap ? boundary : Boundary::kMirror;
}

// Cells of padding on each side; what lies behind them counts less than 1e-6.
inline int64_t spline_padding(Boundary boundary) {
  return boundary == Boundary::kNearest || boundary == Boundary::kGridConstant ? 12 : 0;
}

namespace spline_detail {

constexpr int64_t kLanes = 16;                     // lines that are filtered side by side
constexpr double kPole = -0.26794919243112270647;  // sqrt(3) - 2
constexpr double kNothing = 1e-20;                 // powers of the pole below this are left out

// First value of the causal filter, for one lane: the sum over the whole continued signal.
inline double causal_start(const double* lane, int64_t n, Boundary border) {
  const double whole = std::pow(kPole, static_cast<double>(border == Boundary::kMirror ? n - 1 : n));
  double power = kPole;
  double sum = lane[0];
  switch (border) {
    case Boundary::kReflect: {
      double rest = lane[0] + whole * lane[(n - 1) * kLanes];
      for (int64_t i = 1; i < n && std::abs(power) > kNothing; ++i, power *= kPole) {
        rest += power * (lane[i * kLanes] + whole * lane[(n - 1 - i) * kLanes]);
      }
      return sum + rest * kPole / (1 - whole * whole);
    }
    case Boundary::kGridWrap:
      for (int64_t i = 1; i < n && std::abs(power) > kNothing; ++i, power *= kPole) sum += power * lane[(n - i) * kLanes];
      return sum / (1 - whole);
    default:
      sum += whole * lane[(n - 1) * kLanes];
      for (int64_t i = 1; i < n - 1 && std::abs(power) > kNothing; ++i, power *= kPole) {
        sum += power * (lane[i * kLanes] + whole * lane[(n - 1 - i) * kLanes]);
      }
      return sum / (1 - whole * whole);
  }
}

// Last value of the anticausal filter, for one lane that has been through the causal one.
inline double anticausal_start(const double* lane, int64_t n, Boundary border) {
  const double last = lane[(n - 1) * kLanes];
  switch (border) {
    case Boundary::kReflect:
      return last * kPole / (kPole - 1);
    case Boundary::kGridWrap: {
      double sum = last;
      double power = kPole;
      for (int64_t i = 0; i < n - 1 && std::abs(power) > kNothing; ++i, power *= kPole) sum += power * lane[i * kLanes];
      return sum * kPole / (std::pow(kPole, static_cast<double>(n)) - 1);
    }
    default:
      return (kPole * lane[(n - 2) * kLanes] + last) * kPole / (kPole * kPole - 1);
  }
}

MDT_CLONES static void causal_pass(double* lines, int64_t n) {
  for (int64_t i = 1; i < n; ++i) {
    for (int64_t l = 0; l < kLanes; ++l) lines[i * kLanes + l] += kPole * lines[(i - 1) * kLanes + l];
  }
}

MDT_CLONES static void anticausal_pass(double* lines, int64_t n) {
  for (int64_t i = n - 2; i >= 0; --i) {
    for (int64_t l = 0; l < kLanes; ++l) lines[i * kLanes + l] = kPole * (lines[(i + 1) * kLanes + l] - lines[i * kLanes + l]);
  }
}

// `lines` [n, kLanes]
inline void filter_lines(double* lines, int64_t n, Boundary border) {
  constexpr double kGain = 6;  // (1 - pole) * (1 - 1 / pole)
  for (int64_t i = 0; i < n * kLanes; ++i) lines[i] *= kGain;
  for (int64_t l = 0; l < kLanes; ++l) lines[l] = causal_start(lines + l, n, border);
  causal_pass(lines, n);
  for (int64_t l = 0; l < kLanes; ++l) lines[(n - 1) * kLanes + l] = anticausal_start(lines + l, n, border);
  anticausal_pass(lines, n);
}

}  // namespace spline_detail

// Replaces the values [...size, channels] by the coefficients. Axes of one cell stay as they are.
template <int D>
void spline_filter(float* values, const int64_t* size, int64_t channels, Boundary boundary, ThreadTeam& team) {
  namespace detail = spline_detail;
  int64_t stride = channels;
  for (int axis = D - 1; axis >= 0; stride *= size[axis], --axis) {
    const int64_t n = size[axis];
    if (n == 1) continue;
    int64_t lines = channels;
    for (int d = 0; d < D; ++d) lines *= d == axis ? 1 : size[d];
    team.for_ranges(lines, 4 * detail::kLanes, [&](int64_t begin, int64_t end) {
      std::vector<double> buffer(n * detail::kLanes);
      for (int64_t first = begin; first < end; first += detail::kLanes) {
        float* starts[detail::kLanes];
        const int64_t count = std::min(detail::kLanes, end - first);
        // Lanes that are left over filter the last line again.
        for (int64_t l = 0; l < detail::kLanes; ++l) {
          const int64_t line = first + std::min(l, count - 1);
          starts[l] = values + line / stride * n * stride + line % stride;
        }
        for (int64_t i = 0; i < n; ++i) {
          for (int64_t l = 0; l < detail::kLanes; ++l) buffer[i * detail::kLanes + l] = starts[l][i * stride];
        }
        detail::filter_lines(buffer.data(), n, spline_border(boundary));
        for (int64_t i = 0; i < n; ++i) {
          for (int64_t l = 0; l < count; ++l) starts[l][i * stride] = static_cast<float>(buffer[i * detail::kLanes + l]);
        }
      }
    });
  }
}

}  // namespace mdt
