// Which of the convolutions runs a layer.
#pragma once
#include "conv_geometry.h"
#include "direct_conv.h"

namespace mdt {

enum class Method { kAten, kDirect, kWinograd, kProduct };
enum class Pass { kForward, kInputGradient, kFilterGradient };

// The layer as direct_conv.h describes it; the y, x axes of a 1×1 convolution become one, which makes long rows.
direct::Shape direct_shape(c10::IntArrayRef in, c10::IntArrayRef out, c10::IntArrayRef filter, const Geometry& g, const std::vector<int64_t>& pads);

// One tap, which sees each voxel, or every stride-th.
bool is_pointwise(const direct::Shape& s);
bool is_pointwise_but_strides(const direct::Shape& s);

// The quickest way for a shape with images like x and products of a type, as measured (benchmarks/engine.ts): by shape and type alone,
// so that it is always the same.
Method method(const at::Tensor& x, at::ScalarType products, const direct::Shape& s, Pass pass);

}  // namespace mdt
