// IoU of every box of `a` with every box of `b`. Twin: `iouMatrix` of @mdt/core
#pragma once

#include <cstdint>
#include <vector>

#include "../box.h"
#include "../parallel.h"

namespace mdt {

// Writes row-major [n, m] to `out`.
template <int D>
void box_iou(const std::vector<double>& a, const std::vector<double>& b, double plus,
             const Execution& execution, double* out) {
  constexpr int64_t kWorthThreads = 1 << 16;  // pairs
  constexpr int64_t kRows = 64;               // handed to a thread at once
  const int64_t n = static_cast<int64_t>(a.size()) / (2 * D);
  const int64_t m = static_cast<int64_t>(b.size()) / (2 * D);
  std::vector<Box<D>> columns(m);
  std::vector<double> sizes(m);
  for (int64_t j = 0; j < m; ++j) {
    columns[j] = box_at<D>(b.data(), j);
    sizes[j] = signed_size(columns[j], plus);
  }
  ThreadTeam(execution, n * m >= kWorthThreads).for_ranges(n, kRows, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const Box<D> box = box_at<D>(a.data(), i);
      const double size = signed_size(box, plus);
      for (int64_t j = 0; j < m; ++j) out[i * m + j] = iou(box, size, columns[j], sizes[j], plus);
    }
  });
}

}  // namespace mdt
