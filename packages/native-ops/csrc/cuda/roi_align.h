// RoIAlign and its gradient on device memory. Needs the CUDA runtime at link time only.
#pragma once

#include <cstddef>
#include <cstdint>

#include "../roi_align.h"
#include "status.h"

typedef struct CUstream_st* cudaStream_t;

namespace mdt::cuda {

// What both directions are told. `boxes`, `images` and `levels` of `rois` and the `values` of the maps are device memory; the
// list of maps itself is host memory. `Value` is const float forwards and float backwards, `Real` float or double.
template <int D, class Value, class Real>
struct RoiAlignCall {
  const RoiMap<D, Value>* maps;
  int32_t map_count;
  int64_t batch;
  int64_t channels;
  Rois<D, Real> rois;
  RoiAlignOptions<D> options;
};

// out [rois.count, ...pool, channels]. A RoI whose image or level does not exist, or whose box is not finite, gives zeros.
template <int D, class Real>
Status roi_align(const RoiAlignCall<D, const float, Real>& call, float* out, cudaStream_t stream);

// Bytes of device memory that `roi_align_grad` wants as its workspace; 0 if it need not be deterministic.
template <int D>
std::size_t roi_align_grad_workspace(int64_t rois, bool deterministic);

// Overwrites the maps with the gradient of the forward op; `dy` [rois.count, ...pool, channels].
// `deterministic`: each cell sums its terms in the order of the RoIs and their bins, with the bits that the CPU gives; each
// thread then has to look at every RoI. Else terms are added as they come, which is faster for many RoIs.
template <int D, class Real>
Status roi_align_grad(const float* dy, const RoiAlignCall<D, float, Real>& call, bool deterministic, void* workspace,
                      std::size_t bytes, cudaStream_t stream);

}  // namespace mdt::cuda
