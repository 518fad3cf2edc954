// Greedy clusters of boxes that are given best first. Twin: src/reference/greedy-clusters.ts
#pragma once

#include <cstdint>
#include <vector>

#include "../box.h"
#include "../parallel.h"
#include "box_index.h"

namespace mdt {

// The seed of each box's cluster. The first box without one becomes a seed and takes the free boxes of its group that it overlaps
// by more than the threshold. With `links` (per group the one before it and the one behind it, -1 for none) it goes on from group
// to group on both sides until it finds no free box in one.
template <int D>
std::vector<int32_t> greedy_clusters(const std::vector<Box<D>>& boxes, const int32_t* groups, const int32_t* links,
                                     double iou_threshold, double plus, const Execution& execution) {
  constexpr int32_t kLookUp = 1024;  // seeds between two looks at the signal
  const auto n = static_cast<int32_t>(boxes.size());
  std::vector<double> sizes(n);
  std::vector<int32_t> members;
  members.reserve(n);
  for (int32_t i = 0; i < n; ++i) {
    sizes[i] = signed_size(boxes[i], plus);
    if (is_finite(boxes[i])) members.push_back(i);  // the others overlap nothing
  }
  BoxIndex<D> index(boxes, sizes, std::vector<int32_t>(groups, groups + n), members, plus, iou_threshold);
  std::vector<int32_t> owners(n, -1);
  std::size_t stale = 0;
  for (int32_t seed = 0; seed < n; ++seed) {
    if (seed % kLookUp == 0 && execution.stopped()) break;
    if (owners[seed] >= 0) continue;
    owners[seed] = seed;
    if (!is_finite(boxes[seed])) continue;
    ++stale;
    const auto take = [&](int32_t group) {
      const std::size_t before = stale;
      index.each_overlapping(boxes[seed], sizes[seed], group, [&](int32_t i) {
        if (owners[i] >= 0) return;
        owners[i] = seed;
        ++stale;
      });
      return stale > before;
    };
    take(groups[seed]);
    for (int side = 0; links && side < 2; ++side) {
      int32_t next = links[2 * groups[seed] + side];
      while (next >= 0 && take(next)) next = links[2 * next + side];
    }
    if (stale * 2 > index.size()) {
      index.retain([&](int32_t i) { return owners[i] < 0; });
      stale = 0;
    }
  }
  return owners;
}

}  // namespace mdt
