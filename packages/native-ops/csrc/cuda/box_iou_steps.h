// The body of the IoU kernel. Same results as ../cpu/box_iou.h and ../cpu/box_pairs.h.
#pragma once

#include "../box.h"
#include "../cpu/box_pairs.h"
#include "box_iou.h"
#include "team.h"

namespace mdt::cuda {

// Item i * m + j.
template <int D, class Real>
struct FillIou {
  BoxIouCall<Real> call;

  MDT_STEPS void operator()(int64_t item) const {
    const Box<D> a = read(call.a, item / call.m);
    const Box<D> b = read(call.b, item % call.m);
    call.out[item] = static_cast<Real>(measure(a, b));
  }

 private:
  MDT_STEPS double measure(const Box<D>& a, const Box<D>& b) const {
    if (call.overlap == Overlap::kIou) return iou(a, signed_size(a, call.plus), b, signed_size(b, call.plus), call.plus);
    const PairMeasure chosen = call.overlap == Overlap::kGiou ? PairMeasure::kGiou : PairMeasure::kDiou;
    return pair_measure(a, b, call.plus, chosen);
  }

  static MDT_STEPS Box<D> read(const Real* rows, int64_t i) {
    Box<D> box;
    for (int d = 0; d < D; ++d) {
      box.min[d] = static_cast<double>(rows[i * 2 * D + d]);
      box.max[d] = static_cast<double>(rows[i * 2 * D + D + d]);
    }
    return box;
  }
};

}  // namespace mdt::cuda
