// Masks of boxes put back into the image. Twin: src/reference/paste-masks.ts
#pragma once

#include <cmath>
#include <cstdint>
#include <vector>

#include "../box.h"
#include "../parallel.h"
#include "resample.h"

namespace mdt {

// masks [count, ...mask_size] -> out [count, ...size], which must be zeros: at each cell's centre the mask stretched over its
// box, linearly interpolated and 0 outside. T is float for the values, uint8_t for 1 where they reach the threshold.
// A box that is not finite or has no extent gives zeros.
template <int D, class T>
void paste_masks(const float* masks, const int64_t* mask_size, const std::vector<double>& boxes, const int64_t* size,
                 double threshold, const Execution& execution, T* out) {
  namespace detail = resample_detail;
  constexpr int64_t kWorthThreads = 1 << 15;  // cells
  const int64_t count = static_cast<int64_t>(boxes.size()) / (2 * D);
  int64_t mask_cells = 1;
  int64_t cells = 1;
  for (int d = 0; d < D; ++d) {
    mask_cells *= mask_size[d];
    cells *= size[d];
  }
  ThreadTeam(execution, count * cells >= kWorthThreads).for_each(count, [&](int64_t i) {
    const Box<D> box = box_at<D>(boxes.data(), static_cast<std::size_t>(i));
    if (!is_finite(box)) return;
    std::vector<detail::AxisTaps<2>> taps[D];
    int64_t first[D];
    for (int d = 0; d < D; ++d) {
      const double step = static_cast<double>(mask_size[d]) / (box.max[d] - box.min[d]);
      if (!(box.max[d] > box.min[d]) || !std::isfinite(step)) return;
      first[d] = 0;
      for (int64_t cell = 0; cell < size[d]; ++cell) {
        const double at = (static_cast<double>(cell) + 0.5 - box.min[d]) * step - 0.5;
        if (!(at > -1 && at < static_cast<double>(mask_size[d]))) continue;
        if (taps[d].empty()) first[d] = cell;
        taps[d].push_back(detail::linear_taps(at, mask_size[d], Boundary::kGridConstant));
      }
    }
    const auto reached = [&](int d) { return static_cast<int64_t>(taps[d].size()); };
    int64_t extent[D];
    for (int d = 0; d < D; ++d) {
      extent[d] = reached(d);
      if (extent[d] == 0) return;
    }
    int64_t rows = 1;
    for (int d = 0; d + 1 < D; ++d) rows *= extent[d];
    detail::AxisTaps<2> at[D];
    detail::each_cell<D>(extent, 0, rows, [&](const int64_t* index, int64_t) {
      int64_t cell = 0;
      for (int d = 0; d < D; ++d) {
        at[d] = taps[d][index[d]];
        cell = cell * size[d] + first[d] + index[d];
      }
      const double value = detail::sum_taps<D, 2>(masks + i * mask_cells, mask_size, 1, at, 0);
      if constexpr (std::is_floating_point_v<T>) {
        out[i * cells + cell] = static_cast<T>(value);
      } else {
        out[i * cells + cell] = value >= threshold ? 1 : 0;
      }
    });
  });
}

}  // namespace mdt
