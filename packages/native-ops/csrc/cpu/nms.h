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
#include "../parallel.h"
#include "box_index.h"
#include "box_lanes.h"

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
// let the block's survivors strike out later boxes, found through an index of the boxes not yet struck out. So boxes that are
// spread out take about n log n steps, and memory grows with n alone.
template <int D>
std::vector<int32_t> nms(const std::vector<double>& rows, const std::vector<double>& scores,
                         const int32_t* groups, const NmsOptions& options, const Execution& execution) {
  constexpr int32_t kBlock = 256;
  constexpr int64_t kSeeds = 8;                 // handed to a thread at once
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

  std::vector<int32_t> kept;
  std::vector<BoxLanes<D>> seeds;    // what the current block keeps
  std::optional<BoxIndex<D>> index;  // of the boxes behind the current block
  std::atomic<int64_t> stale{0};     // boxes in the index that are decided by now
  std::optional<ThreadTeam> team;

  for (int32_t start = 0; start < n && !execution.stopped(); start += kBlock) {
    const int32_t end = std::min(n, start + kBlock);
    const std::size_t first = kept.size();
    seeds.clear();
    int lane = 0;
    for (int32_t rank = start; rank < end; ++rank) {
      if (static_cast<int64_t>(kept.size()) >= options.max_boxes) break;
      if (struck[rank].load(std::memory_order_relaxed)) continue;
      if (is_finite(boxes[rank])) {  // the others overlap nothing
        const bool covered = std::any_of(seeds.begin(), seeds.end(), [&](const BoxLanes<D>& lanes) {
          return overlapping(lanes, boxes[rank], sizes[rank], group[rank], plus, options.iou_threshold) != 0;
        });
        if (covered) continue;
        if (lane == 0) seeds.emplace_back();
        seeds.back().put(lane, boxes[rank], sizes[rank], group[rank], rank);
        lane = (lane + 1) % kLanes;
      }
      kept.push_back(rank);
    }
    if (end == n || static_cast<int64_t>(kept.size()) >= options.max_boxes) break;

    const auto open = [&](int32_t rank) { return rank >= end && !struck[rank].load(std::memory_order_relaxed); };
    if (!index) {
      std::vector<int32_t> members;
      for (int32_t rank = end; rank < n; ++rank) {
        if (is_finite(boxes[rank])) members.push_back(rank);
      }
      index.emplace(boxes, sizes, group, members, plus, options.iou_threshold);
      if (index->size() >= kWorthThreads) team.emplace(execution);
    } else if ((stale += end - start) * 2 > static_cast<int64_t>(index->size())) {
      index->retain(open);
      stale = 0;
    }
    const auto strike = [&](int64_t i) {
      const int32_t better = kept[first + i];
      if (!is_finite(boxes[better])) return;
      int64_t count = 0;
      index->each_overlapping(boxes[better], sizes[better], group[better], [&](int32_t worse) {
        if (open(worse) && !struck[worse].exchange(true, std::memory_order_relaxed)) ++count;
      });
      stale.fetch_add(count, std::memory_order_relaxed);
    };
    const auto count = static_cast<int64_t>(kept.size() - first);
    if (team && index->size() >= kWorthThreads) {
      team->for_ranges(count, kSeeds, [&](int64_t begin, int64_t last) {
        for (int64_t i = begin; i < last; ++i) strike(i);
      });
    } else {
      for (int64_t i = 0; i < count; ++i) strike(i);
    }
  }
  for (int32_t& rank : kept) rank = order[rank];
  return kept;
}

}  // namespace mdt
