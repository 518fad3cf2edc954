// Soft non-maximum suppression (Bodla et al. 2017). Twin: src/reference/soft-nms.ts
#pragma once

#include <cmath>
#include <cstdint>
#include <queue>
#include <vector>

#include "../box.h"
#include "../parallel.h"

namespace mdt {

struct SoftNmsOptions {
  bool gaussian;         // weight exp(-iou^2 / sigma); else 1 - iou above the threshold
  double iou_threshold;  // linear
  double sigma;          // gaussian
  double min_score;      // a box whose score falls below this goes
  double plus;
  int64_t max_boxes;
};

struct SoftNmsResult {
  std::vector<int32_t> kept;   // best first by their final scores
  std::vector<double> scores;  // of the boxes kept
};

// Scores only fall, so the score that a box had when it was last looked at is a bound for it: a box is brought up to date only
// when it is the best by its bound. That gives what walking all boxes after each choice would give.
template <int D>
SoftNmsResult soft_nms(const std::vector<double>& rows, const std::vector<double>& scores, const int32_t* groups,
                       const SoftNmsOptions& options, const Execution& execution) {
  struct Candidate {
    double score;
    int32_t id;
    int32_t seen;  // boxes kept when the score was true
    bool operator<(const Candidate& other) const { return score != other.score ? score < other.score : id > other.id; }
  };
  std::priority_queue<Candidate> queue;
  const auto n = static_cast<int32_t>(scores.size());
  std::vector<Box<D>> boxes(n);
  std::vector<double> sizes(n);
  for (int32_t i = 0; i < n; ++i) {
    boxes[i] = box_at<D>(rows.data(), i);
    sizes[i] = signed_size(boxes[i], options.plus);
    if (scores[i] >= options.min_score) queue.push({scores[i], i, 0});
  }
  SoftNmsResult result;
  while (!queue.empty() && static_cast<int64_t>(result.kept.size()) < options.max_boxes && !execution.stopped()) {
    Candidate best = queue.top();
    queue.pop();
    const double before = best.score;
    const auto count = static_cast<int32_t>(result.kept.size());
    for (; best.seen < count && best.score >= options.min_score; ++best.seen) {
      const int32_t k = result.kept[best.seen];
      if (groups && groups[k] != groups[best.id]) continue;
      const double overlap = iou(boxes[k], sizes[k], boxes[best.id], sizes[best.id], options.plus);
      if (options.gaussian) {
        best.score *= std::exp(-(overlap * overlap) / options.sigma);
      } else if (overlap > options.iou_threshold) {
        best.score *= 1 - overlap;
      }
    }
    if (!(best.score >= options.min_score)) continue;
    if (best.score != before) {
      queue.push(best);
      continue;
    }
    result.kept.push_back(best.id);
    result.scores.push_back(best.score);
  }
  return result;
}

}  // namespace mdt
