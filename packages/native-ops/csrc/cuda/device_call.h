// Memory and a stream of one call that brings its arrays from the host and takes its results back.
#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>
#include <stdexcept>
#include <string>
#include <vector>

#include "status.h"

namespace mdt::on_device {

// Throws what a call to the runtime said; who catches it names the op.
inline void expect(cudaError_t code, const char* what) {
  if (code == cudaSuccess) return;
  cudaGetLastError();
  throw std::runtime_error(std::string(what) + ": " + cudaGetErrorString(code) + " (" + cudaGetErrorName(code) + ")");
}

inline void expect(const cuda::Status& status) {
  if (!status.ok()) throw std::runtime_error(status.error);
}

// Makes a device current for a while; the thread gets its own back, which other libraries rely on.
class DeviceScope {
 public:
  explicit DeviceScope(int device) {
    expect(cudaGetDevice(&before_), "find the device");
    expect(cudaSetDevice(device), "choose the device");
  }
  ~DeviceScope() { cudaSetDevice(before_); }
  DeviceScope(const DeviceScope&) = delete;
  DeviceScope& operator=(const DeviceScope&) = delete;

 private:
  int before_ = 0;
};

// Throws on failure, as the CPU ops do.
class DeviceCall {
 public:
  explicit DeviceCall(int device) : scope_(device) {
    expect(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), "make a stream");
  }

  ~DeviceCall() {
    for (void* memory : memory_) cudaFreeAsync(memory, stream_);
    cudaStreamSynchronize(stream_);
    cudaStreamDestroy(stream_);
  }

  DeviceCall(const DeviceCall&) = delete;
  DeviceCall& operator=(const DeviceCall&) = delete;

  cudaStream_t stream() const { return stream_; }

  // From the device's memory pool, so that a second call finds what the first one left.
  template <class T>
  T* allocate(std::size_t count) {
    void* memory = nullptr;
    if (count == 0) return nullptr;
    expect(cudaMallocAsync(&memory, count * sizeof(T), stream_), "allocate");
    memory_.push_back(memory);
    return static_cast<T*>(memory);
  }

  template <class T>
  const T* upload(const T* host, std::size_t count) {
    T* const device = allocate<T>(host == nullptr ? 0 : count);
    if (device) expect(cudaMemcpyAsync(device, host, count * sizeof(T), cudaMemcpyHostToDevice, stream_), "upload");
    return device;
  }

  // Waits for everything queued before.
  template <class T>
  void download(T* host, const T* device, std::size_t count) {
    if (count > 0) expect(cudaMemcpyAsync(host, device, count * sizeof(T), cudaMemcpyDeviceToHost, stream_), "download");
    expect(cudaStreamSynchronize(stream_), "compute");
  }

 private:
  DeviceScope scope_;
  cudaStream_t stream_ = nullptr;
  std::vector<void*> memory_;
};

}  // namespace mdt::on_device
