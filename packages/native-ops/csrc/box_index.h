// Which boxes share a part with a given one, without looking at all of them: boxes in Morton order of their centres
// (Morton 1966), and over them a tree of bounding boxes with a fixed number of children, so that no pointers are needed.
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <utility>
#include <vector>

#include "box.h"

namespace mdt {

template <int D>
class BoxIndex {
 public:
  // `members` are indices of finite boxes in `boxes`; `plus` as in `iou`.
  BoxIndex(const std::vector<Box<D>>& boxes, const std::vector<int32_t>& members, double plus) : plus_(plus) {
    Box<D> centres = empty();
    for (int32_t id : members) {
      for (int d = 0; d < D; ++d) {
        const double c = centre(boxes[id], d);
        centres.min[d] = std::min(centres.min[d], c);
        centres.max[d] = std::max(centres.max[d], c);
      }
    }
    std::vector<std::pair<uint64_t, int32_t>> keys;
    keys.reserve(members.size());
    for (int32_t id : members) keys.emplace_back(morton_key(boxes[id], centres), id);
    std::sort(keys.begin(), keys.end());
    leaves_.reserve(keys.size());
    for (const auto& key : keys) leaves_.push_back({boxes[key.second], key.second});
    build();
  }

  std::size_t size() const { return leaves_.size(); }

  // Drops the members for which `stays(id)` is false.
  template <class Stays>
  void retain(Stays stays) {
    leaves_.erase(std::remove_if(leaves_.begin(), leaves_.end(), [&](const Leaf& leaf) { return !stays(leaf.id); }),
                  leaves_.end());
    build();
  }

  // Calls `visit(id, box)` for every member that may share a part with `query`. Allocates nothing.
  template <class Visit>
  void each_near(const Box<D>& query, const Visit& visit) const {
    if (!leaves_.empty()) descend(levels_.size() - 1, 0, query, visit);
  }

 private:
  static constexpr std::size_t kChildren = 8;

  struct Leaf {
    Box<D> box;
    int32_t id;
  };

  static Box<D> empty() {
    Box<D> box;
    std::fill_n(box.min, D, std::numeric_limits<double>::infinity());
    std::fill_n(box.max, D, -std::numeric_limits<double>::infinity());
    return box;
  }

  static double centre(const Box<D>& box, int d) { return box.min[d] / 2 + box.max[d] / 2; }

  // 20 bits per axis, interleaved. The key only decides how tight the tree is, not what it finds.
  static uint64_t morton_key(const Box<D>& box, const Box<D>& centres) {
    constexpr int kBits = 20;
    constexpr double kCells = (1 << kBits) - 1;
    uint64_t cells[D];
    for (int d = 0; d < D; ++d) {
      const double place = (centre(box, d) - centres.min[d]) / (centres.max[d] - centres.min[d]) * kCells;
      cells[d] = place > 0 ? static_cast<uint64_t>(std::min(place, kCells)) : 0;  // not a number where all centres agree
    }
    uint64_t key = 0;
    for (int bit = kBits - 1; bit >= 0; --bit) {
      for (int d = 0; d < D; ++d) key = (key << 1) | ((cells[d] >> bit) & 1);
    }
    return key;
  }

  bool near(const Box<D>& a, const Box<D>& b) const {
    for (int d = 0; d < D; ++d) {
      if (!(std::min(a.max[d], b.max[d]) - std::max(a.min[d], b.min[d]) + plus_ > 0)) return false;
    }
    return true;
  }

  static void grow(Box<D>& bounds, const Box<D>& box) {
    for (int d = 0; d < D; ++d) {
      bounds.min[d] = std::min(bounds.min[d], box.min[d]);
      bounds.max[d] = std::max(bounds.max[d], box.max[d]);
    }
  }

  void build() {
    levels_.clear();
    std::size_t below = leaves_.size();
    do {
      std::vector<Box<D>> level((below + kChildren - 1) / kChildren, empty());
      for (std::size_t i = 0; i < below; ++i) grow(level[i / kChildren], levels_.empty() ? leaves_[i].box : levels_.back()[i]);
      below = level.size();
      levels_.push_back(std::move(level));
    } while (below > 1);
  }

  template <class Visit>
  void descend(std::size_t level, std::size_t node, const Box<D>& query, const Visit& visit) const {
    if (!near(levels_[level][node], query)) return;
    const std::size_t below = level == 0 ? leaves_.size() : levels_[level - 1].size();
    const std::size_t end = std::min(below, (node + 1) * kChildren);
    for (std::size_t i = node * kChildren; i < end; ++i) {
      if (level > 0) {
        descend(level - 1, i, query, visit);
      } else {
        visit(leaves_[i].id, leaves_[i].box);
      }
    }
  }

  double plus_;
  std::vector<Leaf> leaves_;
  std::vector<std::vector<Box<D>>> levels_;  // [0] bounds groups of leaves, the last one has a single node
};

}  // namespace mdt
