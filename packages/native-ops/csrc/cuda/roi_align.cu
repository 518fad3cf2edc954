#include "roi_align.h"

#include "launch.h"
#include "roi_align_steps.h"

namespace mdt::cuda {

namespace {

template <int D, class Value, class Real>
RoiLevel<D, Value, Real> level_of(const RoiAlignCall<D, Value, Real>& call, int32_t level) {
  return {call.maps[level], level, call.batch, call.channels, call.rois, call.options};
}

template <class Body>
Status launch(const Body& body, cudaStream_t stream) {
  return for_each(body.items(), body, stream);
}

}  // namespace

template <int D, class Real>
Status roi_align(const RoiAlignCall<D, const float, Real>& call, float* out, cudaStream_t stream) {
  const int64_t values = call.rois.count * level_of(call, 0).bins() * call.channels;
  // RoIs that no map reads stay at 0.
  if (auto s = status_of(cudaMemsetAsync(out, 0, values * sizeof(float), stream), "clear the result"); !s.ok()) return s;
  for (int32_t level = 0; level < call.map_count; ++level) {
    if (auto s = launch(PoolBin<D, Real>{level_of(call, level), out}, stream); !s.ok()) return s;
  }
  return {};
}

template <int D>
std::size_t roi_align_grad_workspace(int64_t rois, bool deterministic) {
  return deterministic ? static_cast<std::size_t>(rois) * D * sizeof(Reach) : 0;
}

template <int D, class Real>
Status roi_align_grad(const float* dy, const RoiAlignCall<D, float, Real>& call, bool deterministic, void* workspace,
                      std::size_t bytes, cudaStream_t stream) {
  const std::size_t wanted = roi_align_grad_workspace<D>(call.rois.count, deterministic);
  if (bytes < wanted) {
    return {"the workspace has " + std::to_string(bytes) + " bytes, expected " + std::to_string(wanted)};
  }
  auto* const reach = static_cast<Reach*>(workspace);
  for (int32_t index = 0; index < call.map_count; ++index) {
    const auto level = level_of(call, index);
    if (deterministic) {
      if (auto s = launch(FindReach<D, Real>{level, reach}, stream); !s.ok()) return s;
      if (auto s = launch(GatherCell<D, Real>{level, reach, dy}, stream); !s.ok()) return s;
      continue;
    }
    const std::size_t map_bytes = static_cast<std::size_t>(level.batch * level.cells() * level.channels) * sizeof(float);
    if (auto s = status_of(cudaMemsetAsync(level.map.values, 0, map_bytes, stream), "clear the result"); !s.ok()) return s;
    if (auto s = launch(ScatterBin<D, Real>{level, dy}, stream); !s.ok()) return s;
  }
  return {};
}

#define MDT_ROI_ALIGN(D, Real)                                                                              \
  template Status roi_align(const RoiAlignCall<D, const float, Real>&, float*, cudaStream_t);               \
  template Status roi_align_grad(const float*, const RoiAlignCall<D, float, Real>&, bool, void*, std::size_t, cudaStream_t)

MDT_ROI_ALIGN(2, float);
MDT_ROI_ALIGN(2, double);
MDT_ROI_ALIGN(3, float);
MDT_ROI_ALIGN(3, double);
template std::size_t roi_align_grad_workspace<2>(int64_t, bool);
template std::size_t roi_align_grad_workspace<3>(int64_t, bool);

}  // namespace mdt::cuda
