// Which boxes overlap a given one by more than a threshold, without looking at all of them: boxes in Morton order of their
// centres (Morton 1966), and over them a tree of bounding boxes with a fixed number of children, so that no pointers are needed.
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <utility>
#include <vector>

#include "../box.h"
#include "box_lanes.h"
#include "morton.h"
#include "sort_keys.h"

namespace mdt {

template <int D>
class BoxIndex {
 public:
  // `members` are indices of finite boxes in `boxes`; `sizes` and `plus` as in `iou`. Boxes of different groups never meet.
  BoxIndex(const std::vector<Box<D>>& boxes, const std::vector<double>& sizes, const std::vector<int32_t>& groups,
           const std::vector<int32_t>& members, double plus, double threshold)
      : plus_(plus), threshold_(threshold), count_(members.size()) {
    Box<D> centres = empty();
    for (int32_t id : members) {
      for (int d = 0; d < D; ++d) {
        const double c = centre(boxes[id], d);
        centres.min[d] = std::min(centres.min[d], c);
        centres.max[d] = std::max(centres.max[d], c);
      }
    }
    std::vector<SortKey> keys;
    keys.reserve(count_);
    for (int32_t id : members) keys.push_back({morton_place(boxes[id], centres), groups[id], id});
    sort_keys(keys);
    leaves_.resize((count_ + kLanes - 1) / kLanes);
    for (std::size_t i = 0; i < count_; ++i) {
      const int32_t id = keys[i].id;
      leaves_[i / kLanes].put(i % kLanes, boxes[id], sizes[id], groups[id], id);
    }
    build();
  }

  std::size_t size() const { return count_; }

  // Drops the members for which `stays(id)` is false.
  template <class Stays>
  void retain(Stays stays) {
    std::size_t kept = 0;
    BoxLanes<D> filled;
    for (std::size_t i = 0; i < count_; ++i) {
      const BoxLanes<D>& leaf = leaves_[i / kLanes];
      const int lane = static_cast<int>(i % kLanes);
      if (!stays(leaf.ids[lane])) continue;
      filled.put(kept % kLanes, leaf.box(lane), leaf.sizes[lane], static_cast<int32_t>(leaf.groups[lane]), leaf.ids[lane]);
      if (++kept % kLanes != 0) continue;
      leaves_[kept / kLanes - 1] = filled;  // its members have been read
      filled = BoxLanes<D>();
    }
    if (kept % kLanes != 0) leaves_[kept / kLanes] = filled;
    count_ = kept;
    leaves_.resize((kept + kLanes - 1) / kLanes);
    build();
  }

  // Calls `visit(id)` for every member of the group that overlaps `box` by more than the threshold. Allocates nothing.
  template <class Visit>
  void each_overlapping(const Box<D>& box, double size, int32_t group, const Visit& visit) const {
    if (levels_.empty()) return;
    Query query{box, size, group, {}};
    reach(box, query.least);
    descend(levels_.size() - 1, 0, query, visit);
  }

 private:
  static constexpr std::size_t kChildren = 8;

  // Bounds of some members.
  struct Node {
    Box<D> box = empty();
    int32_t first_group = std::numeric_limits<int32_t>::max();
    int32_t last_group = std::numeric_limits<int32_t>::lowest();
  };

  struct Query {
    Box<D> box;
    double size;
    int32_t group;
    double least[D];  // what a box must share with it along each axis
  };

  static Box<D> empty() {
    Box<D> box;
    std::fill_n(box.min, D, std::numeric_limits<double>::infinity());
    std::fill_n(box.max, D, -std::numeric_limits<double>::infinity());
    return box;
  }

  static double centre(const Box<D>& box, int d) { return box.min[d] / 2 + box.max[d] / 2; }

  // 20 bits per axis, interleaved. The place only decides how tight the tree is, not what it finds.
  static uint64_t morton_place(const Box<D>& box, const Box<D>& centres) {
    constexpr double kCells = (1 << 20) - 1;
    uint64_t interleaved = 0;
    for (int d = 0; d < D; ++d) {
      const double place = (centre(box, d) - centres.min[d]) / (centres.max[d] - centres.min[d]) * kCells;
      // Not a number where all centres agree.
      const uint64_t cell = place > 0 ? static_cast<uint64_t>(std::min(place, kCells)) : 0;
      interleaved |= spread_bits<D>(cell) << (D - 1 - d);
    }
    return interleaved;
  }

  // A part that is more than a share t of the union is more than the share t of either box, and then of its side along each
  // axis. `kSlack` is far above what rounding can do to that, as long as no product of sides comes near the ends of the range
  // of numbers; where it might, any common part will do.
  void reach(const Box<D>& box, double* least) const {
    constexpr double kSlack = 1e-12;
    constexpr double kLeastThreshold = 1e-30;
    constexpr double kLeastSide = 1e-60;
    constexpr double kLargestSide = 1e60;
    bool regular = threshold_ >= kLeastThreshold;
    for (int d = 0; d < D; ++d) {
      const double side = box.max[d] - box.min[d] + plus_;
      regular = regular && side >= kLeastSide && side <= kLargestSide;
      least[d] = threshold_ * side * (1 - kSlack);
    }
    if (!regular) std::fill_n(least, D, 0.0);
  }

  bool may_overlap(const Node& node, const Query& query) const {
    if (query.group < node.first_group || query.group > node.last_group) return false;
    for (int d = 0; d < D; ++d) {
      const double side = std::min(node.box.max[d], query.box.max[d]) - std::max(node.box.min[d], query.box.min[d]) + plus_;
      if (!(side > query.least[d])) return false;
    }
    return true;
  }

  static void grow(Node& node, const Box<D>& box, int32_t first_group, int32_t last_group) {
    for (int d = 0; d < D; ++d) {
      node.box.min[d] = std::min(node.box.min[d], box.min[d]);
      node.box.max[d] = std::max(node.box.max[d], box.max[d]);
    }
    node.first_group = std::min(node.first_group, first_group);
    node.last_group = std::max(node.last_group, last_group);
  }

  void build() {
    levels_.clear();
    if (count_ == 0) return;
    std::vector<Node> level(leaves_.size());
    for (std::size_t i = 0; i < count_; ++i) {
      const BoxLanes<D>& leaf = leaves_[i / kLanes];
      const int lane = static_cast<int>(i % kLanes);
      const auto group = static_cast<int32_t>(leaf.groups[lane]);
      grow(level[i / kLanes], leaf.box(lane), group, group);
    }
    levels_.push_back(std::move(level));
    while (levels_.back().size() > 1) {
      const std::vector<Node>& below = levels_.back();
      std::vector<Node> above((below.size() + kChildren - 1) / kChildren);
      for (std::size_t i = 0; i < below.size(); ++i) {
        grow(above[i / kChildren], below[i].box, below[i].first_group, below[i].last_group);
      }
      levels_.push_back(std::move(above));
    }
  }

  template <class Visit>
  void descend(std::size_t level, std::size_t node, const Query& query, const Visit& visit) const {
    if (!may_overlap(levels_[level][node], query)) return;
    if (level == 0) {
      const BoxLanes<D>& leaf = leaves_[node];
      uint32_t found = overlapping(leaf, query.box, query.size, query.group, plus_, threshold_);
      for (int lane = 0; found != 0; ++lane, found >>= 1) {
        if (found & 1) visit(leaf.ids[lane]);
      }
      return;
    }
    const std::size_t end = std::min(levels_[level - 1].size(), (node + 1) * kChildren);
    for (std::size_t i = node * kChildren; i < end; ++i) descend(level - 1, i, query, visit);
  }

  double plus_;
  double threshold_;
  std::size_t count_;
  std::vector<BoxLanes<D>> leaves_;        // full, the last one excepted
  std::vector<std::vector<Node>> levels_;  // [0] bounds each leaf, the last one has a single node
};

}  // namespace mdt
