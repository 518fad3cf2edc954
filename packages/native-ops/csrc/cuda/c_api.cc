#include "c_api.h"

#include <algorithm>
#include <cstring>
#include <exception>
#include <stdexcept>
#include <string>
#include <vector>

#include "device_call.h"
#include "roi_align.h"

namespace mdt {
namespace {

template <class Body>
int32_t guarded_call(cuda_api::ErrorText error, const Body& body) {
  const auto say = [&](const char* what) {
    if (error.text == nullptr || error.bytes == 0) return 1;
    const std::size_t length = std::min(std::strlen(what), error.bytes - 1);
    std::memcpy(error.text, what, length);
    error.text[length] = '\0';
    return 1;
  };
  try {
    body();
    return 0;
  } catch (const std::exception& e) {
    return say(e.what());
  } catch (...) {
    return say("unknown error");
  }
}

// The call as the templates take it; the list of maps lives here.
template <int D, class Value>
struct Typed {
  std::vector<RoiMap<D, Value>> maps;
  cuda::RoiAlignCall<D, Value, float> call{};

  explicit Typed(const cuda_api::RoiAlign& c) {
    for (int32_t m = 0; m < c.map_count; ++m) {
      RoiMap<D, Value> map{};
      map.values = static_cast<Value*>(c.maps[m].values);
      std::copy_n(c.maps[m].size, D, map.size);
      std::copy_n(c.maps[m].scale, D, map.scale);
      maps.push_back(map);
    }
    call.maps = maps.data();
    call.map_count = c.map_count;
    call.batch = c.batch;
    call.channels = c.channels;
    call.rois = {c.boxes, c.images, c.levels, c.count};
    std::copy_n(c.pool, D, call.options.pool);
    call.options.sampling = c.single ? RoiSampling::kSingle : RoiSampling::kAverage;
    call.options.ratio = c.ratio;
    call.options.aligned = c.aligned != 0;
  }
};

// Calls body(Typed<D, Value>, stream) on the device of the call.
template <class Value, class Body>
int32_t on_device_of(const cuda_api::RoiAlign* c, cuda_api::ErrorText error, const Body& body) {
  return guarded_call(error, [&] {
    if (c->dim != 2 && c->dim != 3) throw std::invalid_argument("dim is " + std::to_string(c->dim) + ", expected 2 or 3");
    if (c->map_count < 1) throw std::invalid_argument("there are " + std::to_string(c->map_count) + " maps, expected 1 or more");
    const on_device::DeviceScope scope(c->device);
    auto* const stream = static_cast<cudaStream_t>(c->stream);
    on_device::expect(c->dim == 2 ? body(Typed<2, Value>(*c).call, stream) : body(Typed<3, Value>(*c).call, stream));
  });
}

int32_t roi_align(const cuda_api::RoiAlign* c, float* out, cuda_api::ErrorText error) {
  return on_device_of<const float>(c, error, [&](const auto& call, cudaStream_t stream) { return cuda::roi_align(call, out, stream); });
}

std::size_t roi_align_grad_workspace(int32_t dim, int64_t count, int32_t deterministic) {
  return dim == 2 ? cuda::roi_align_grad_workspace<2>(count, deterministic != 0)
                  : cuda::roi_align_grad_workspace<3>(count, deterministic != 0);
}

int32_t roi_align_grad(const cuda_api::RoiAlign* c, const float* dy, int32_t deterministic, void* workspace, std::size_t bytes,
                       cuda_api::ErrorText error) {
  return on_device_of<float>(c, error, [&](const auto& call, cudaStream_t stream) {
    return cuda::roi_align_grad(dy, call, deterministic != 0, workspace, bytes, stream);
  });
}

}  // namespace
}  // namespace mdt

// Hidden is what the build says of all else.
extern "C" __attribute__((visibility("default"))) const mdt::cuda_api::Ops* mdt_cuda_ops(int32_t version) {
  static constexpr mdt::cuda_api::Ops ops{mdt::cuda_api::kVersion, mdt::roi_align, mdt::roi_align_grad_workspace,
                                          mdt::roi_align_grad};
  return version == mdt::cuda_api::kVersion ? &ops : nullptr;
}
