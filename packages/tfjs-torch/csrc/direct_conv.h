// Direct convolutions for narrow layers, channels last, on AVX-512 and on AVX2. oneDNN blocks channels by 16 and loses up to two thirds
// of its speed on the 18 or 36 channels of a 3D pyramid; these keep a row tile of up to 64 output channels in
// registers. Elements are float or bfloat16; sums are float.
#pragma once
#include <c10/util/BFloat16.h>

#include <array>
#include <cstdint>
#include <vector>

namespace mdt::direct {

// Shapes of one convolution; 2D layers have depth 1 everywhere.
struct Shape {
  int64_t images, in_channels, out_channels;
  std::array<int64_t, 3> in, out, window, strides, pads;
};

// Whether this processor has AVX-512, or AVX2, as the kernels need it.
bool has_avx512();
bool has_avx2();

// Whether the kernels are the quicker choice: rows long enough to fill a tile, weights of a tile that stay in the cache.
bool suits(const Shape& s);

// y = act(x ∗ filter + bias); filter [k…, in, out], bias may be null; slope: 1 linear, 0 ReLU, else leaky. The filter is
// rounded to E.
template <class E> void forward(const Shape& s, const E* x, const float* filter, const float* bias, float slope, E* y);

// dx from dy; every element of dx is written.
template <class E> void input_gradient(const Shape& s, const E* dy, const float* filter, E* dx);

// dFilter [k…, in, out] from dy and x.
template <class E> void filter_gradient(const Shape& s, const E* dy, const E* x, float* d_filter);

// What is compiled for one set of instructions.
template <class E>
struct Passes {
  void (*forward)(const Shape&, const E* x, const float* filter, const float* bias, float slope, E* y);
  void (*input_gradient)(const Shape&, const E* dy, const float* filter, E* dx);
  void (*filter_gradient)(const Shape&, const E* dy, const E* x, float* d_filter);
};

template <class E> Passes<E> avx512_passes();
Passes<float> avx2_passes();

}  // namespace mdt::direct
