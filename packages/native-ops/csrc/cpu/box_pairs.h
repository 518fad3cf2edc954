// Measures of how near boxes are that go on where they no longer overlap. Twin: src/reference/box-pairs.ts
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "../box.h"
#include "../parallel.h"

namespace mdt {

enum class PairMeasure : int32_t {
  kGiou,  // IoU less the share of the hull that neither box covers (Rezatofighi et al. 2019)
  kDiou,  // IoU less the squared distance of the centres over the squared diagonal of the hull (Zheng et al. 2020)
};

template <int D>
MDT_HOST_DEVICE double pair_measure(const Box<D>& a, const Box<D>& b, double plus, PairMeasure measure) {
  constexpr double kFarthest = -1;
  constexpr double kHuge = 1e100;  // sides up to it have volumes and squares that are finite
  if (!is_finite(a) || !is_finite(b)) return kFarthest;
  double longest = 0;  // half of it
  for (int d = 0; d < D; ++d) {
    if (a.max[d] < a.min[d] || b.max[d] < b.min[d]) return kFarthest;
    longest = std::max(longest, std::max(a.max[d], b.max[d]) / 2 - std::min(a.min[d], b.min[d]) / 2);
  }
  // Lengths are measured in halves of the hull's longest side where they are huge. Coordinates are halved before they are
  // subtracted: even the difference of two finite numbers can be infinite.
  const bool huge = longest > kHuge;
  const double part = huge ? 0.5 : 1;
  const double unit = huge ? longest : 1;
  const auto length = [&](double from, double to) { return (to * part - from * part + plus * part) / unit; };
  const auto centre = [&](double from, double to) { return (from * part + to * part) / 2; };
  double shared = 1;
  double size_a = 1;
  double size_b = 1;
  double hull = 1;
  double distance = 0;
  double diagonal = 0;
  for (int d = 0; d < D; ++d) {
    shared *= std::max(0.0, length(std::max(a.min[d], b.min[d]), std::min(a.max[d], b.max[d])));
    size_a *= length(a.min[d], a.max[d]);
    size_b *= length(b.min[d], b.max[d]);
    const double side = length(std::min(a.min[d], b.min[d]), std::max(a.max[d], b.max[d]));
    const double apart = (centre(a.min[d], a.max[d]) - centre(b.min[d], b.max[d])) / unit;
    hull *= side;
    distance += apart * apart;
    diagonal += side * side;
  }
  const double total = size_a + size_b - shared;
  const double iou = total > 0 ? shared / total : 0;
  if (measure == PairMeasure::kDiou) return diagonal > 0 ? iou - distance / diagonal : iou;
  return hull > 0 ? iou - (hull - total) / hull : iou;
}

// Writes row-major [n, m] to `out`.
template <int D>
void box_pairs(const std::vector<double>& a, const std::vector<double>& b, double plus, PairMeasure measure,
               const Execution& execution, double* out) {
  constexpr int64_t kWorthThreads = 1 << 15;  // pairs
  constexpr int64_t kRows = 32;               // handed to a thread at once
  const int64_t n = static_cast<int64_t>(a.size()) / (2 * D);
  const int64_t m = static_cast<int64_t>(b.size()) / (2 * D);
  ThreadTeam(execution, n * m >= kWorthThreads).for_ranges(n, kRows, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const Box<D> box = box_at<D>(a.data(), i);
      for (int64_t j = 0; j < m; ++j) out[i * m + j] = pair_measure(box, box_at<D>(b.data(), j), plus, measure);
    }
  });
}

}  // namespace mdt
