// Convolutions with windows of 3 × 3 and stride 1 on the last two axes by Winograd's minimal filtering: tiles of 4 × 4
// outputs cost a quarter of the products. Along z, of any window and stride, the taps are summed directly.
#pragma once
#include "direct_conv.h"

namespace mdt::winograd {

// Whether the layer can be done so and is quicker so. Where the window fits that was measured for all but very few channels
// or outputs, against the direct kernels (2 to 3.7 times) as against ATen's.
bool suits(const direct::Shape& s);

// Whether elements may be held in bfloat16; they are multiplied as floats.
bool reads_bfloat16();

// As their namesakes in direct_conv.h; the products are float's, also of bfloat16. Rounding errors reach a few 1e-6 of the
// largest result; what is not finite spoils its whole tile.
template <class E> void forward(const direct::Shape& s, const E* x, const float* filter, const float* bias, float slope, E* y);
template <class E> void input_gradient(const direct::Shape& s, const E* dy, const float* filter, E* dx);
template <class E> void filter_gradient(const direct::Shape& s, const E* dy, const E* x, float* d_filter);

template <class E> direct::Passes<E> avx512_passes();
template <class E> direct::Passes<E> avx2_passes();

}  // namespace mdt::winograd
