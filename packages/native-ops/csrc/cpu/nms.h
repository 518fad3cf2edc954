// Greedy non-maximum suppression. Twin: src/reference/nms.ts
#pragma once

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdint>
#include <memory>
#include <numeric>
#include <optional>
#include <vector>

#include "../box.h"
#include "../box_index.h"
#include "../parallel.h"

namespace mdt {

struct NmsOptions {
  double iou_threshold;
  double plus;        // 1 for inclusive extents, else 0
  int64_t max_boxes;  // stop after so many
};

// Indices from best to worst score; equal scores keep their order, NaN comes last.
inline std::vector<int32_t> order_by_score(const std::vector<double>& scores) {
  std::vector<int32_t> order(scores.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](int32_t i, int32_t j) {
    if (std::isnan(scores[i]) || std::isnan(scores[j])) return !std::isnan(scores[i]) && std::isnan(scores[j]);
    return scores[i] > scores[j];
  });
  return order;
}

// Survivors, best first. A box goes when a better survivor of its group overlaps it by more than the threshold.
// `groups` is null when all boxes belong together.
//
// Boxes are decided in blocks, best first. Within a block one thread compares the boxes with each other; then all threads
// let the block's survivors strike out later boxes, found through an index of the boxes not yet struck out.
template <int D>
std::vector<int32_t> nms(const std::vector<double>& rows, const std::vector<double>& scores,
                         const int32_t* groups, const NmsOptions& options, const Execution& execution) {
  constexpr int32_t kBlock = 256;
  constexpr std::size_t kWorthThreads = 4096;  // a smaller index is searched faster than other threads wake

  const std::vector<int32_t> order = order_by_score(scores);
  const int32_t n = static_cast<int32_t>(order.size());
  const double plus = options.plus;

  // All below is by rank: 0 is the best score.
  std::vector<Box<D>> boxes(n);
  std::vector<double> sizes(n);
  std::vector<int32_t> group(n, 0);
  for (int32_t rank = 0; rank < n; ++rank) {
    boxes[rank] = box_at<D>(rows.data(), order[rank]);
    sizes[rank] = signed_size(boxes[rank], plus);
    if (groups) group[rank] = groups[order[rank]];
  }
  const std::unique_ptr<std::atomic<bool>[]> struck(new std::atomic<bool>[n] {});
  const auto strikes = [&](int32_t better, int32_t worse) {
    return group[better] == group[worse] &&
           iou(boxes[better], sizes[better], boxes[worse], sizes[worse], plus) > options.iou_threshold;
  };

  std::vector<int32_t> kept;
  std::optional<BoxIndex<D>> index;  // of the boxes behind the current block
  std::atomic<int64_t> stale{0};     // boxes in the index that are decided by now
  std::optional<ThreadTeam> team;

  for (int32_t start = 0; start < n && !execution.stopped(); start += kBlock) {
    const int32_t end = std::min(n, start + kBlock);
    const std::size_t first = kept.size();
    for (int32_t rank = start; rank < end; ++rank) {
      if (static_cast<int64_t>(kept.size()) >= options.max_boxes) break;
      if (struck[rank].load(std::memory_order_relaxed)) continue;
      const bool covered = std::any_of(kept.begin() + first, kept.end(), [&](int32_t k) { return strikes(k, rank); });
      if (!covered) kept.push_back(rank);
    }
    if (end == n || static_cast<int64_t>(kept.size()) >= options.max_boxes) break;

    const auto open = [&](int32_t rank) { return rank >= end && !struck[rank].load(std::memory_order_relaxed); };
    if (!index) {
      std::vector<int32_t> members;
      for (int32_t rank = end; rank < n; ++rank) {
        if (is_finite(boxes[rank])) members.push_back(rank);  // the others overlap nothing
      }
      index.emplace(boxes, members, plus);
      if (index->size() >= kWorthThreads) team.emplace(execution);
    } else if ((stale += end - start) * 2 > static_cast<int64_t>(index->size())) {
      index->retain(open);
      stale = 0;
    }
    const auto strike = [&](int64_t i) {
      const int32_t better = kept[first + i];
      int64_t count = 0;
      index->each_near(boxes[better], [&](int32_t worse, const Box<D>&) {
        if (open(worse) && strikes(better, worse) && !struck[worse].exchange(true, std::memory_order_relaxed)) ++count;
      });
      stale.fetch_add(count, std::memory_order_relaxed);
    };
    const int64_t seeds = static_cast<int64_t>(kept.size() - first);
    if (team && index->size() >= kWorthThreads) {
      team->for_each(seeds, strike);
    } else {
      for (int64_t i = 0; i < seeds; ++i) strike(i);
    }
  }
  for (int32_t& rank : kept) rank = order[rank];
  return kept;
}

}  // namespace mdt
