// Non-maximum suppression on device memory. Needs the CUDA runtime at link time only.
#pragma once

#include <cstddef>
#include <cstdint>

#include "status.h"

typedef struct CUstream_st* cudaStream_t;

namespace mdt::cuda {

template <class Real>
struct NmsCall {
  int dim;                 // 2 or 3
  const Real* boxes;       // [n, 2 * dim]: min..., max...
  const Real* scores;      // [n]
  const int32_t* groups;   // [n]: boxes of different groups (image, class) never meet; null: one group
  int64_t n;               // fits 31 bits
  double iou_threshold;    // a box goes when a better one overlaps it by strictly more
  double plus;             // 1 for inclusive extents, else 0
  int64_t max_boxes;       // stop after so many
  int32_t* kept;           // [min(n, max_boxes)]: receives the indices of the survivors, best first
  int32_t* kept_count;     // receives their number
};

// Bytes of device memory that `nms` wants as its workspace: linear in n. Needs a current device.
Status nms_workspace(int64_t n, int dim, std::size_t* bytes);

// Queues everything on `stream` and returns: nothing is copied to the host, and nothing is allocated. All pointers but those
// said to be null are to memory of the current device; `workspace` is aligned to 256 bytes, as cudaMalloc does, and may be
// used again once the stream has come past. `Real` is float or double; the arithmetic is double, as on the CPU.
template <class Real>
Status nms(const NmsCall<Real>& call, void* workspace, std::size_t bytes, cudaStream_t stream);

}  // namespace mdt::cuda
