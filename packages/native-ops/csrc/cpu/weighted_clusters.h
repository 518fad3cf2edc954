// Weighted box clustering (Jaeger et al. 2020, "Retina U-Net", appendix). Twin: src/reference/weighted-clusters.ts
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <utility>
#include <vector>

#include "../box.h"
#include "../parallel.h"
#include "greedy_clusters.h"
#include "sort_keys.h"

namespace mdt {

// One entry per candidate, of boxes one row.
struct ClusterCandidates {
  std::size_t count;
  const double* boxes;
  const double* scores;
  const double* weights;
  const double* overlaps;
  const int32_t* groups;
  const int32_t* patches;
};

struct WeightedClustersOptions {
  double iou_threshold;
  double predictions_per_tile;
  double missing_weight;
  bool size_weight;
  bool count_boxes;  // every box is a prediction found; else every different patch
  double plus;
};

// One entry per cluster, by the score of its best box. Clusters whose boxes have no score or no weight are left out.
struct WeightedClusters {
  std::vector<double> boxes;
  std::vector<double> scores;
  std::vector<int32_t> groups;
  std::vector<int32_t> members;  // boxes of each cluster
};

// The candidates that count, best score first; equal scores are ordered by all else that a candidate has. Those with a value
// that is not finite, a negative one beside their box, or a side that is not positive do not count.
template <int D>
std::vector<SortKey> ranked(const ClusterCandidates& all, double plus) {
  const auto is_weight = [](double value) { return value >= 0 && std::isfinite(value); };
  std::vector<SortKey> keys;
  keys.reserve(all.count);
  for (std::size_t i = 0; i < all.count; ++i) {
    double size = 1;
    for (int d = 0; d < D; ++d) size *= std::max(0.0, all.boxes[i * 2 * D + D + d] - all.boxes[i * 2 * D + d] + plus);
    if (!(size > 0 && std::isfinite(size))) continue;
    if (!is_weight(all.scores[i]) || !is_weight(all.weights[i]) || !is_weight(all.overlaps[i])) continue;
    const double score = all.scores[i] + 0.0;  // no negative zero
    uint64_t bits = 0;
    std::memcpy(&bits, &score, sizeof bits);
    keys.push_back({~bits, 0, static_cast<int32_t>(i)});  // the bits of numbers from 0 on ascend with them
  }
  sort_keys(keys);
  const auto before = [&all](const SortKey& a, const SortKey& b) {
    const auto [i, j] = std::pair(static_cast<std::size_t>(a.id), static_cast<std::size_t>(b.id));
    if (all.groups[i] != all.groups[j]) return all.groups[i] < all.groups[j];
    for (int k = 0; k < 2 * D; ++k) {
      if (all.boxes[i * 2 * D + k] != all.boxes[j * 2 * D + k]) return all.boxes[i * 2 * D + k] < all.boxes[j * 2 * D + k];
    }
    if (all.patches[i] != all.patches[j]) return all.patches[i] < all.patches[j];
    if (all.weights[i] != all.weights[j]) return all.weights[i] < all.weights[j];
    return all.overlaps[i] < all.overlaps[j];
  };
  for (std::size_t start = 0, end = 1; start < keys.size(); start = end++) {
    while (end < keys.size() && keys[end].place == keys[start].place) ++end;
    if (end - start > 1) std::sort(keys.begin() + start, keys.begin() + end, before);
  }
  return keys;
}

// What a call that was stopped returns is worthless.
template <int D>
WeightedClusters weighted_clusters(const ClusterCandidates& all, const WeightedClustersOptions& options,
                                   const Execution& execution) {
  const std::vector<SortKey> order = ranked<D>(all, options.plus);
  const std::size_t n = order.size();
  std::vector<Box<D>> boxes;
  std::vector<int32_t> groups;
  boxes.reserve(n);
  groups.reserve(n);
  for (const SortKey& key : order) {
    boxes.push_back(box_at<D>(all.boxes, key.id));
    groups.push_back(all.groups[key.id]);
  }
  const std::vector<int32_t> owners = greedy_clusters(boxes, groups.data(), nullptr, options.iou_threshold, options.plus, execution);
  if (execution.stopped()) return {};

  struct Sums {
    double weight = 0;
    double score = 0;
    double overlap = 0;
    Box<D> box{};
    int32_t group = 0;
    std::size_t found = 0;
    std::size_t end = 0;  // of its patches
  };
  std::vector<Sums> clusters;
  std::vector<int32_t> cluster_of(n);
  for (std::size_t i = 0; i < n; ++i) {
    const auto seed = static_cast<std::size_t>(owners[i]);
    if (seed == i) {  // a seed comes before what it takes
      cluster_of[i] = static_cast<int32_t>(clusters.size());
      clusters.emplace_back();
      clusters.back().group = groups[i];
    } else {
      cluster_of[i] = cluster_of[seed];
    }
    const auto id = static_cast<std::size_t>(order[i].id);
    const double size = signed_size(boxes[i], options.plus);
    double overlap = 1;  // the best box counts in full, also where its IoU with itself is not quite 1
    if (seed != i) {
      overlap = iou(boxes[seed], signed_size(boxes[seed], options.plus), boxes[i], size, options.plus);
    }
    const double weight = overlap * (options.size_weight ? size : 1) * all.weights[id];
    const double scored = all.scores[id] * weight;
    Sums& sums = clusters[cluster_of[i]];
    ++sums.found;
    sums.weight += weight;
    sums.score += scored;
    sums.overlap += all.overlaps[id];
    for (int d = 0; d < D; ++d) {
      sums.box.min[d] += boxes[i].min[d] * scored;
      sums.box.max[d] += boxes[i].max[d] * scored;
    }
  }

  std::vector<int32_t> patches(n);  // those of the first cluster, of the second, ...
  for (std::size_t c = 0, end = 0; c < clusters.size(); ++c) {
    clusters[c].end = end;
    end += clusters[c].found;
  }
  for (std::size_t i = 0; i < n; ++i) patches[clusters[cluster_of[i]].end++] = all.patches[order[i].id];
  WeightedClusters result;
  for (const Sums& sums : clusters) {
    if (!(sums.score > 0)) continue;  // nothing to average
    const auto last = patches.begin() + sums.end;
    const auto first = last - sums.found;
    const auto found = static_cast<double>(sums.found);
    double made = found;
    if (!options.count_boxes) {
      std::sort(first, last);
      made = static_cast<double>(std::unique(first, last) - first);
    }
    const double missing = std::max(0.0, (options.predictions_per_tile * sums.overlap) / found - made);
    result.scores.push_back(sums.score / (sums.weight + (options.missing_weight * missing * sums.weight) / found));
    for (const double value : sums.box.min) result.boxes.push_back(value / sums.score);
    for (const double value : sums.box.max) result.boxes.push_back(value / sums.score);
    result.members.push_back(static_cast<int32_t>(sums.found));
    result.groups.push_back(sums.group);
  }
  return result;
}

}  // namespace mdt
