// Convolutions, channels last: Winograd's or our direct kernels where they are quicker, ATen's (oneDNN's) elsewhere.
#include "../call.h"
#include "../direct_conv.h"
#include "../sparse_boxes.h"
#include "../winograd.h"

namespace mdt {
namespace {

// [k…, in, out] as tfjs has it, to [out, in, k…] in channels-last memory.
at::Tensor filter_to_aten(const at::Tensor& filter) {
  return filter.movedim({-1, -2}, {0, 1}).contiguous(channels_last_format(filter.dim()));
}

at::Tensor filter_from_aten(const at::Tensor& filter) { return filter.movedim({0, 1}, {-1, -2}).contiguous(); }

struct Geometry {
  std::vector<int64_t> strides, pads;
  int64_t activation;
  explicit Geometry(Call& c) : strides(c.integers()), pads(c.integers()), activation(c.integer()) {}
  std::vector<int64_t> ones() const { return std::vector<int64_t>(strides.size(), 1); }
  std::vector<int64_t> zeros() const { return std::vector<int64_t>(strides.size(), 0); }
};

at::Tensor through_activation(Call& c, const Geometry& g) {
  const at::Tensor& dy = c.in(0);
  if (g.activation == 1) return at::threshold_backward(dy, c.in(1), 0);
  if (g.activation == 2) return at::leaky_relu_backward(dy, c.in(1), 0.01, true);
  return dy;
}

// The layer as direct_conv.h describes it; the y, x axes of a 1×1 convolution become one, which makes long rows.
direct::Shape direct_shape(c10::IntArrayRef in, c10::IntArrayRef out, c10::IntArrayRef filter, const Geometry& g, const std::vector<int64_t>& pads) {
  const size_t dims = g.strides.size();
  direct::Shape s{in[0], in.back(), out.back(), {1, 1, 1}, {1, 1, 1}, {1, 1, 1}, {1, 1, 1}, {0, 0, 0}};
  bool pointwise = true;
  for (size_t d = 0; d < dims; d++) {
    const size_t axis = d + 3 - dims;
    s.in[axis] = in[d + 1];
    s.out[axis] = out[d + 1];
    s.window[axis] = filter[d];
    s.strides[axis] = g.strides[d];
    s.pads[axis] = pads[d];
    pointwise = pointwise && filter[d] == 1 && g.strides[d] == 1 && pads[d] == 0;
  }
  if (pointwise && s.in[2] < 64) {
    s.in = {s.in[0], 1, s.in[1] * s.in[2]};
    s.out = s.in;
  }
  return s;
}

constexpr float kSlopes[] = {1.0f, 0.0f, 0.01f};  // by activation

// x [n, …, in], filter [k…, in, out] → [n, …, out]
at::Tensor forward(const at::Tensor& input, const at::Tensor& filter, const std::optional<at::Tensor>& bias, const Geometry& g,
                   const std::vector<int64_t>& shape) {
  const at::Tensor x = input.contiguous();
  const direct::Shape s = direct_shape(x.sizes(), shape, filter.sizes(), g, g.pads);
  const bool tiled = x.is_cpu() && winograd::suits(s);
  if (tiled || (x.is_cpu() && direct::suits(s))) {
    at::Tensor y = at::empty(shape, x.options());
    const at::Tensor weights = filter.contiguous();
    (tiled ? winograd::forward : direct::forward)(s, x.const_data_ptr<float>(), weights.const_data_ptr<float>(), bias ? bias->const_data_ptr<float>() : nullptr,
                                                  kSlopes[g.activation], y.mutable_data_ptr<float>());
    return y;
  }
  at::Tensor y = channels_last(at::convolution(channels_first(x), filter_to_aten(filter), bias, g.strides, g.pads, g.ones(), false, g.zeros(), 1));
  if (g.activation == 1) y.relu_();
  if (g.activation == 2) at::leaky_relu_(y, 0.01);
  return y;
}

// dy, x: channels last; filter [out, in, k…]
std::tuple<at::Tensor, at::Tensor, at::Tensor> backward(const at::Tensor& dy, const at::Tensor& x, const at::Tensor& filter,
                                                        const Geometry& g, const std::vector<int64_t>& pads, std::array<bool, 3> wanted) {
  const std::vector<int64_t> bias_size{filter.size(0)};
  return at::convolution_backward(channels_first(dy), channels_first(x), filter, bias_size, g.strides, pads, g.ones(), false, g.zeros(), 1, wanted);
}

at::Tensor input_gradient(const at::Tensor& gradient, const std::vector<int64_t>& shape, const at::Tensor& filter, const Geometry& g,
                          const std::vector<int64_t>& pads) {
  const at::Tensor dy = gradient.contiguous();
  const at::Tensor dx = at::empty(shape, dy.options());
  const direct::Shape s = direct_shape(shape, dy.sizes(), filter.sizes(), g, pads);
  const bool tiled = dy.is_cpu() && winograd::suits(s);
  if (tiled || (dy.is_cpu() && direct::suits(s))) {
    const at::Tensor weights = filter.contiguous();
    (tiled ? winograd::input_gradient : direct::input_gradient)(s, dy.const_data_ptr<float>(), weights.const_data_ptr<float>(), dx.mutable_data_ptr<float>());
    return dx;
  }
  // ATen asks for x, but only its shape counts here.
  return channels_last(std::get<0>(backward(dy, dx, filter_to_aten(filter), g, pads, {true, false, false})));
}

at::Tensor filter_gradient(const at::Tensor& gradient, const at::Tensor& input, const std::vector<int64_t>& shape, const Geometry& g,
                           const std::vector<int64_t>& pads) {
  const at::Tensor dy = gradient.contiguous(), x = input.contiguous();
  at::Tensor filter = at::empty(shape, dy.options());
  const direct::Shape s = direct_shape(x.sizes(), dy.sizes(), shape, g, pads);
  const bool tiled = dy.is_cpu() && winograd::suits(s);
  if (tiled || (dy.is_cpu() && direct::suits(s))) {
    (tiled ? winograd::filter_gradient : direct::filter_gradient)(s, dy.const_data_ptr<float>(), x.const_data_ptr<float>(), filter.mutable_data_ptr<float>());
    return filter;
  }
  return filter_from_aten(std::get<1>(backward(dy, x, filter_to_aten(filter), g, pads, {false, true, false})));
}

// The part of an image that a box of outputs sees: [begin, end) of the input, which may reach into the padding, and the
// part of that inside the image.
struct Field {
  std::vector<int64_t> begin, end, inner_begin, inner_end;
  Field(const ImageBox& box, const std::vector<int64_t>& window, const std::vector<int64_t>& size, const Geometry& g) {
    for (size_t d = 0; d < size.size(); d++) {
      begin.push_back(box.begin[d] * g.strides[d] - g.pads[d]);
      end.push_back((box.end[d] - 1) * g.strides[d] - g.pads[d] + window[d]);
      inner_begin.push_back(std::clamp<int64_t>(begin[d], 0, size[d]));
      inner_end.push_back(std::clamp<int64_t>(end[d], inner_begin[d], size[d]));
    }
  }
  bool empty() const {
    for (size_t d = 0; d < begin.size(); d++) if (inner_end[d] <= inner_begin[d]) return true;
    return false;
  }
};

at::Tensor crop(const at::Tensor& x, int64_t image, const std::vector<int64_t>& begin, const std::vector<int64_t>& end) {
  at::Tensor y = x.narrow(0, image, 1);
  for (size_t d = 0; d < begin.size(); d++) y = y.narrow(d + 1, begin[d], end[d] - begin[d]);
  return y;
}

// Beyond this share of non-zero outputs the dense kernels are quicker than many small ones.
constexpr double kSparseShare = 0.3;

std::vector<int64_t> spatial(const std::vector<int64_t>& shape) { return {shape.begin() + 1, shape.end() - 1}; }

// x, filter, bias? → y
void conv_act(Call& c) {
  const Geometry g(c);
  const at::Tensor &x = c.in(0), &filter = c.in(1);
  const std::optional<at::Tensor> bias = c.has(2) ? std::optional<at::Tensor>(c.in(2).contiguous()) : std::nullopt;
  std::vector<int64_t> shape{x.size(0)};
  for (size_t d = 0; d < g.strides.size(); d++) shape.push_back((x.size(d + 1) + 2 * g.pads[d] - filter.size(d)) / g.strides[d] + 1);
  shape.push_back(filter.size(-1));
  c.out(forward(x, filter, bias, g, shape));
}

// dy, y?, filter → dx
void conv_input_grad(Call& c) {
  const Geometry g(c);
  const auto shape = c.integers();
  const at::Tensor dy = through_activation(c, g);
  const at::Tensor& filter = c.in(2);
  const auto boxes = non_zero_boxes(dy, kSparseShare);
  if (!boxes) return c.out(input_gradient(dy, shape, filter, g, g.pads));
  at::Tensor dx = at::zeros(shape, dy.options());
  const std::vector<int64_t> window(filter.sizes().begin(), filter.sizes().end() - 2);
  for (const ImageBox& box : *boxes) {
    const Field field(box, window, spatial(shape), g);
    if (field.empty()) continue;
    std::vector<int64_t> part_shape{1}, from, to;
    for (size_t d = 0; d < window.size(); d++) {
      part_shape.push_back(field.end[d] - field.begin[d]);
      from.push_back(field.inner_begin[d] - field.begin[d]);
      to.push_back(field.inner_end[d] - field.begin[d]);
    }
    part_shape.push_back(shape.back());
    const at::Tensor part = input_gradient(crop(dy, box.image, box.begin, box.end), part_shape, filter, g, g.zeros());
    crop(dx, box.image, field.inner_begin, field.inner_end).add_(crop(part, 0, from, to));
  }
  c.out(std::move(dx));
}

// dy, y?, x → dFilter, dBias
void conv_filter_grad(Call& c) {
  const Geometry g(c);
  const auto shape = c.integers();  // [k…, in, out]
  const at::Tensor dy = through_activation(c, g);
  const at::Tensor& x = c.in(2);
  c.out(dy.reshape({-1, dy.size(-1)}).sum(0), 1);
  const auto boxes = non_zero_boxes(dy, kSparseShare);
  if (!boxes) return c.out(filter_gradient(dy, x, shape, g, g.pads), 0);
  at::Tensor sum = at::zeros(shape, dy.options());
  const std::vector<int64_t> window(shape.begin(), shape.end() - 2);
  for (const ImageBox& box : *boxes) {
    const Field field(box, window, spatial(x.sizes().vec()), g);
    if (field.empty()) continue;
    at::Tensor seen = crop(x, box.image, field.inner_begin, field.inner_end);
    std::vector<int64_t> margins{0, 0};  // last axis first: channels
    for (size_t d = window.size(); d-- > 0;) {
      margins.push_back(field.inner_begin[d] - field.begin[d]);
      margins.push_back(field.end[d] - field.inner_end[d]);
    }
    seen = at::constant_pad_nd(seen, margins, 0);
    sum.add_(filter_gradient(crop(dy, box.image, box.begin, box.end), seen, shape, g, g.zeros()));
  }
  c.out(std::move(sum), 0);
}

}  // namespace

void add_conv(std::vector<Kernel>& k) {
  k.insert(k.end(), {{"ConvAct", conv_act}, {"ConvActInputGrad", conv_input_grad}, {"ConvActFilterGrad", conv_filter_grad}});
}

}  // namespace mdt
