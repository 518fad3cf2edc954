// IoU, GIoU and DIoU matrices on device memory. Needs the CUDA runtime at link time only.
#pragma once

#include <cstdint>

#include "status.h"

typedef struct CUstream_st* cudaStream_t;

namespace mdt::cuda {

enum class Overlap : int32_t { kIou, kGiou, kDiou };

template <class Real>
struct BoxIouCall {
  int dim;        // 2 or 3
  const Real* a;  // [n, 2 * dim]: min..., max...
  int64_t n;
  const Real* b;  // [m, 2 * dim]
  int64_t m;
  double plus;       // 1 for inclusive extents, else 0
  Overlap overlap;
  Real* out;         // [n, m]
};

// Queues the op on `stream` and returns. `Real` is float or double; the arithmetic is double, as on the CPU.
template <class Real>
Status box_iou(const BoxIouCall<Real>& call, cudaStream_t stream);

}  // namespace mdt::cuda
