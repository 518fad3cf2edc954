// Maxima over windows and their gradient, channels last: one pass over what each reads and writes. Elements are
// float or bfloat16.
#pragma once
#include <array>
#include <cstdint>

namespace mdt::max_pool {

// 2D images have the depth axis last but one, of size 1: planes are then rows, which fit into a cache.
struct Shape {
  int64_t images, channels;
  std::array<int64_t, 3> in, out, window, strides, before;
};

// Whether this build has the kernels, and the shape is one that they take.
bool suits(const Shape& s);

// y: each window's maximum, −∞ where it sees only padding. Where `skip_nan`, NaN never wins; otherwise it always does.
template <class E> void forward(const Shape& s, const E* x, bool skip_nan, E* y);

// dx from dy; each window's goes to the first of its maxima, or to the last NaN. Every element of dx is written, as a sum in float
// over ascending windows.
template <class E> void gradient(const Shape& s, const E* dy, const E* x, bool skip_nan, E* dx);

}  // namespace mdt::max_pool
