// Where the tensors of an environment live. All goes through libtorch's device-neutral guards, streams and allocators: a
// processor and a CUDA device take the same path, and nothing here needs CUDA's headers.
#pragma once
#include <ATen/ATen.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include <string>

#include "allocator.h"

namespace mdt {

class Device {
 public:
  // `name`: "cpu", "cuda" or "cuda:N". Throws std::invalid_argument that says what there is where it cannot be had.
  explicit Device(const std::string& name);

  c10::Device place() const { return place_; }

  // To be called on the thread that runs the kernels: makes the device and a stream of this environment's own current.
  void enter();

  // Uninitialised host memory that the device can read in the background: pinned where it is not the processor.
  at::Tensor host_buffer(at::IntArrayRef shape, at::ScalarType type) const;
  // On the kernels' stream, without waiting.
  at::Tensor from_host(at::Tensor host) const;
  // Row-major in host memory; waits for the stream, and for nothing on a processor.
  at::Tensor to_host(const at::Tensor& tensor) const;

  // Of all environments of this process on this device.
  MemoryStats memory() const;
  void reset_peak() const;
  void empty_pool() const;

 private:
  c10::Device place_;
  c10::impl::VirtualGuardImpl guard_;
  c10::Stream stream_;
};

// The stream that this thread queues its work on, as the device's own library knows it: a cudaStream_t on CUDA.
void* current_stream(c10::Device place);

// How many CUDA devices this libtorch can use, in words.
std::string cuda_devices();

// Settings of libtorch that hold for the whole process.
struct Numerics {
  bool deterministic = false;  // kernels whose sums depend on timing are refused
  bool tf32 = false;           // convolutions and products of float32 keep 10 bits of the mantissa, on CUDA devices
};
void set_numerics(const Numerics& numerics);

}  // namespace mdt
