// What the launching side of every op shares. Device code only; see status.h for the side of the callers.
#pragma once

#include <cuda_runtime.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>

#include "status.h"

namespace mdt::cuda {

constexpr int kThreads = 256;

// The last error is taken away with it, so that the next call does not report it again.
inline Status status_of(cudaError_t code, const char* what) {
  if (code == cudaSuccess) return {};
  cudaGetLastError();
  return {std::string(what) + ": " + cudaGetErrorString(code) + " (" + cudaGetErrorName(code) + ")"};
}

// Calls body(i) for i in [0, count).
template <class Body>
__global__ void for_each_kernel(int64_t count, Body body) {
  const int64_t step = static_cast<int64_t>(gridDim.x) * blockDim.x;
  for (int64_t i = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; i < count; i += step) body(i);
}

template <class Body>
Status for_each(int64_t count, const Body& body, cudaStream_t stream) {
  constexpr int64_t kMostBlocks = int64_t{1} << 20;
  if (count <= 0) return {};
  const int64_t blocks = std::min(kMostBlocks, (count + kThreads - 1) / kThreads);
  for_each_kernel<<<static_cast<unsigned>(blocks), kThreads, 0, stream>>>(count, body);
  return status_of(cudaGetLastError(), "launch");
}

// A cooperative launch with as many blocks as `items` are worth, and no more than run at once.
template <class... Parameters>
Status launch_together(int64_t items, void (*kernel)(Parameters...), cudaStream_t stream, Parameters... parameters) {
  int device = 0;
  int processors = 0;
  int together = 0;
  int per_processor = 0;
  if (auto s = status_of(cudaGetDevice(&device), "find the device"); !s.ok()) return s;
  if (auto s = status_of(cudaDeviceGetAttribute(&processors, cudaDevAttrMultiProcessorCount, device), "ask the device");
      !s.ok()) {
    return s;
  }
  if (auto s = status_of(cudaDeviceGetAttribute(&together, cudaDevAttrCooperativeLaunch, device), "ask the device");
      !s.ok()) {
    return s;
  }
  if (!together) return {"this device has no cooperative launch"};
  if (auto s = status_of(cudaOccupancyMaxActiveBlocksPerMultiprocessor(&per_processor, kernel, kThreads, 0), "plan");
      !s.ok()) {
    return s;
  }
  const int64_t most = static_cast<int64_t>(processors) * per_processor;
  const int64_t blocks = std::max<int64_t>(1, std::min(most, (items + kThreads - 1) / kThreads));
  void* arguments[] = {&parameters...};
  return status_of(cudaLaunchCooperativeKernel(reinterpret_cast<const void*>(kernel), dim3(static_cast<unsigned>(blocks)),
                                               dim3(kThreads), arguments, 0, stream),
                   "launch");
}

// Cuts a workspace into arrays; with a null base it only counts.
class Carver {
 public:
  explicit Carver(void* base) : base_(static_cast<char*>(base)) {}

  template <class T>
  T* take(int64_t count) {
    constexpr std::size_t kAlignment = 256;
    T* const start = base_ == nullptr ? nullptr : reinterpret_cast<T*>(base_ + used_);
    used_ += (static_cast<std::size_t>(count) * sizeof(T) + kAlignment - 1) / kAlignment * kAlignment;
    return start;
  }

  std::size_t used() const { return used_; }

 private:
  char* base_;
  std::size_t used_ = 0;
};

}  // namespace mdt::cuda
