// Boxes side by side, axis by axis, so that one box is compared with several at once.
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>

#include "../box.h"
#include "clones.h"

namespace mdt {

constexpr int kLanes = 8;

// Lanes without a box hold one that overlaps nothing.
template <int D>
struct BoxLanes {
  double min[D][kLanes];
  double max[D][kLanes];
  double sizes[kLanes];
  double groups[kLanes];  // whole numbers
  int32_t ids[kLanes];

  BoxLanes() {
    for (int d = 0; d < D; ++d) {
      std::fill_n(min[d], kLanes, std::numeric_limits<double>::infinity());
      std::fill_n(max[d], kLanes, -std::numeric_limits<double>::infinity());
    }
    std::fill_n(sizes, kLanes, 0.0);
    std::fill_n(groups, kLanes, 0.0);
    std::fill_n(ids, kLanes, -1);
  }

  void put(int lane, const Box<D>& box, double size, int32_t group, int32_t id) {
    for (int d = 0; d < D; ++d) {
      min[d][lane] = box.min[d];
      max[d][lane] = box.max[d];
    }
    sizes[lane] = size;
    groups[lane] = group;
    ids[lane] = id;
  }

  Box<D> box(int lane) const {
    Box<D> box;
    for (int d = 0; d < D; ++d) {
      box.min[d] = min[d][lane];
      box.max[d] = max[d][lane];
    }
    return box;
  }
};

namespace box_lanes_detail {

// Bit l is set where the box in lane l is of the group and overlaps `box` by more than the threshold, as `iou` of box.h has it for
// one box; bit kLanes + l where the two share a part, but products of sides do not say how much.
template <int D>
MDT_INTO_CLONES uint32_t overlapping(const BoxLanes<D>& lanes, const Box<D>& box, double size, double group, double plus,
                                     double threshold) {
  double shared[kLanes];
  double least[kLanes];
  for (int l = 0; l < kLanes; ++l) {
    shared[l] = 1;
    least[l] = std::numeric_limits<double>::infinity();
  }
  for (int d = 0; d < D; ++d) {
    for (int l = 0; l < kLanes; ++l) {
      const double high = lanes.max[d][l] < box.max[d] ? lanes.max[d][l] : box.max[d];
      const double low = lanes.min[d][l] > box.min[d] ? lanes.min[d][l] : box.min[d];
      const double side = high - low + plus;
      shared[l] *= side;
      least[l] = side < least[l] ? side : least[l];
    }
  }
  uint64_t bits = 0;
  for (int l = 0; l < kLanes; ++l) {
    const double total = size + lanes.sizes[l] - shared[l];
    const double share = shared[l] / total;
    const bool near = (least[l] > 0) & (lanes.groups[l] == group);
    const bool regular = (total >= kLeastUnion) & (total <= kLargestUnion);
    const bool meets = near & regular & (share > threshold);
    bits |= static_cast<uint64_t>(meets) << l;
    bits |= static_cast<uint64_t>(near & !regular) << (kLanes + l);
  }
  return static_cast<uint32_t>(bits);
}

MDT_CLONES static uint32_t overlapping_bits(const BoxLanes<2>& lanes, const Box<2>& box, double size, double group, double plus,
                                            double threshold) {
  return overlapping<2>(lanes, box, size, group, plus, threshold);
}

MDT_CLONES static uint32_t overlapping_bits(const BoxLanes<3>& lanes, const Box<3>& box, double size, double group, double plus,
                                            double threshold) {
  return overlapping<3>(lanes, box, size, group, plus, threshold);
}

}  // namespace box_lanes_detail

// Bit l is set where the box in lane l is of the group and overlaps `box` by more than the threshold. All are finite or empty.
template <int D>
uint32_t overlapping(const BoxLanes<D>& lanes, const Box<D>& box, double size, double group, double plus, double threshold) {
  uint32_t bits = box_lanes_detail::overlapping_bits(lanes, box, size, group, plus, threshold);
  if (bits >> kLanes == 0) return bits;
  for (int lane = 0; lane < kLanes; ++lane) {
    if ((bits >> (kLanes + lane) & 1) && scaled_iou(lanes.box(lane), box, plus) > threshold) bits |= 1u << lane;
  }
  return bits & ((1u << kLanes) - 1);
}

}  // namespace mdt
