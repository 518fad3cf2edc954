// Where channels lie, in what type tensors are held, and the copies that either costs.
#pragma once
#include <ATen/ATen.h>

#include <cstdint>

namespace mdt {

// Copies that kernels of this thread made only to move or to convert elements: what a layout or a type that fits would
// have saved. The executor books them on the running kernel.
struct Copies {
  int64_t count = 0, bytes = 0;
  void add(const at::Tensor& copy) {
    count++;
    bytes += static_cast<int64_t>(copy.nbytes());
  }
};
Copies& copies();

// Row-major memory; counted where that takes a copy.
inline at::Tensor contiguous(const at::Tensor& x) {
  if (x.is_contiguous()) return x;
  at::Tensor copy = x.contiguous();
  copies().add(copy);
  return copy;
}

inline at::Tensor converted(const at::Tensor& x, at::ScalarType type) {
  if (x.scalar_type() == type) return x;
  at::Tensor copy = x.to(type);
  copies().add(copy);
  return copy;
}

// tfjs keeps channels last; ATen names channels first. Both are views of the same memory.
inline at::Tensor channels_first(const at::Tensor& x) { return x.movedim(-1, 1); }
inline at::Tensor channels_last(const at::Tensor& x) { return contiguous(x.movedim(1, -1)); }
inline at::MemoryFormat channels_last_format(int64_t rank) {
  return rank == 5 ? at::MemoryFormat::ChannelsLast3d : at::MemoryFormat::ChannelsLast;
}

// Activations may be held in 16 bits while they are float32 to tfjs.
inline bool is_low(at::ScalarType type) { return type == at::kBFloat16 || type == at::kHalf; }
inline bool is_low(const at::Tensor& x) { return is_low(x.scalar_type()); }

// The type in which convolutions and matrix products run, by the code that JavaScript sends. Where the processor has no
// bfloat16 products they run in float32; their results are held in bfloat16 all the same.
inline at::ScalarType low_type(int64_t precision) {
  return precision == 1 ? at::kBFloat16 : precision == 2 ? at::kHalf : at::kFloat;
}
bool has_bfloat16_products();

// f(E{}) with the type in which a tensor on a processor holds its elements.
template <class F>
decltype(auto) with_elements(const at::Tensor& x, F f) {
  if (x.scalar_type() == at::kBFloat16) return f(c10::BFloat16());
  TORCH_CHECK(x.scalar_type() == at::kFloat, "expected float32 or bfloat16");
  return f(float());
}

}  // namespace mdt
