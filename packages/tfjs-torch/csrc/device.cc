#include "device.h"

#include <ATen/Context.h>
#include <c10/core/CachingDeviceAllocator.h>

#include <stdexcept>

namespace mdt {
namespace {

c10::Device parsed(const std::string& name) {
  c10::Device place(c10::kCPU);
  try {
    place = c10::Device(name);
  } catch (const c10::Error&) {
    throw std::invalid_argument("device is '" + name + "', expected 'cpu' or 'cuda:N'");
  }
  if (place.is_cpu()) return c10::Device(c10::kCPU);
  if (!place.is_cuda()) throw std::invalid_argument("device is '" + name + "', expected 'cpu' or 'cuda:N'");
  const int count = at::hasCUDA() ? at::detail::getCUDAHooks().getNumGPUs() : 0;
  if (!place.has_index()) place.set_index(0);
  if (place.index() >= count) throw std::invalid_argument("device '" + name + "' cannot be had: " + cuda_devices());
  at::globalContext().lazyInitDevice(c10::kCUDA);
  return place;
}

}  // namespace

std::string cuda_devices() {
  if (!at::hasCUDA()) {
    return at::detail::getCUDAHooks().hasCUDART() ? "this libtorch is built for CUDA, but finds no driver or no device"
                                                  : "this libtorch is built without CUDA";
  }
  const int count = at::detail::getCUDAHooks().getNumGPUs();
  if (count == 0) return "this libtorch is built for CUDA, but finds no driver or no device";
  return count == 1 ? "there is cuda:0" : "there are cuda:0 to cuda:" + std::to_string(count - 1);
}

Device::Device(const std::string& name)
    : place_(parsed(name)), guard_(place_.type()), stream_(guard_.getNewStream(place_)) {}

void Device::enter() {
  if (place_.has_index()) guard_.setDevice(place_);
  guard_.exchangeStream(stream_);
}

at::Tensor Device::host_buffer(at::IntArrayRef shape, at::ScalarType type) const {
  return at::empty(shape, at::TensorOptions().dtype(type).pinned_memory(!place_.is_cpu()));
}

at::Tensor Device::from_host(at::Tensor host) const { return host.to(place_, /*non_blocking=*/true); }

at::Tensor Device::to_host(const at::Tensor& tensor) const {
  const at::Tensor rows = tensor.contiguous();
  if (rows.is_cpu()) return rows;
  at::Tensor host = host_buffer(rows.sizes(), rows.scalar_type());
  host.copy_(rows, /*non_blocking=*/true);
  guard_.synchronizeStream(stream_);
  return host;
}

MemoryStats Device::memory() const {
  if (place_.is_cpu()) return memory_stats();
  const auto stats = c10::getDeviceAllocator(place_.type())->getDeviceStats(place_.index());
  const auto& live = stats.allocated_bytes[0];  // 0: of blocks of every size
  const auto& reserved = stats.reserved_bytes[0];
  return {static_cast<size_t>(live.current), static_cast<size_t>(live.peak), static_cast<size_t>(reserved.current - live.current)};
}

void Device::reset_peak() const {
  if (place_.is_cpu()) return reset_peak_memory();
  c10::getDeviceAllocator(place_.type())->resetPeakStats(place_.index());
}

void Device::empty_pool() const {
  if (place_.is_cpu()) return mdt::empty_pool();
  c10::getDeviceAllocator(place_.type())->emptyCache();
}

void* current_stream(c10::Device place) {
  return c10::impl::VirtualGuardImpl(place.type()).getStream(place).native_handle();
}

void set_numerics(const Numerics& n) {
  auto& context = at::globalContext();
  context.setDeterministicAlgorithms(n.deterministic, /*warn_only=*/false);
  context.setDeterministicFillUninitializedMemory(false);
  context.setDeterministicCuDNN(n.deterministic);
  context.setDeterministicMkldnn(n.deterministic);
  const auto precision = n.tf32 ? at::Float32Precision::TF32 : at::Float32Precision::IEEE;
  for (const auto op : {at::Float32Op::CONV, at::Float32Op::RNN, at::Float32Op::MATMUL}) {
    context.setFloat32Precision(at::Float32Backend::CUDA, op, precision);
  }
}

}  // namespace mdt
