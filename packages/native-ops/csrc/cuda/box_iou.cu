#include "box_iou.h"

#include "box_iou_steps.h"
#include "launch.h"

namespace mdt::cuda {

template <class Real>
Status box_iou(const BoxIouCall<Real>& call, cudaStream_t stream) {
  const int64_t pairs = call.n * call.m;
  return call.dim == 2 ? for_each(pairs, FillIou<2, Real>{call}, stream)
                       : for_each(pairs, FillIou<3, Real>{call}, stream);
}

template Status box_iou(const BoxIouCall<float>&, cudaStream_t);
template Status box_iou(const BoxIouCall<double>&, cudaStream_t);

}  // namespace mdt::cuda
