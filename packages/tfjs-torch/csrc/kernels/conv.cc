// Convolutions, channels last: Winograd's or our direct kernels where they are quicker, ATen's (oneDNN's) elsewhere.
#include "../channel_sums.h"
#include "../conv_filter.h"
#include "../conv_method.h"
#include "../conv_product.h"
#include "../elements.h"
#include "../sparse_boxes.h"
#include "../winograd.h"

namespace mdt {
namespace {

// What a product reads: in memory order, in the type of products.
at::Tensor operand(const at::Tensor& x, const Geometry& g) {
  if (!x.is_floating_point()) throw std::invalid_argument("expected floats");
  return contiguous(converted(x, g.products));
}

at::Tensor through_activation(Call& c, const Geometry& g) {
  const at::Tensor dy = operand(c.stored(0), g);
  require(g.activation == 0 || c.stored(1).sizes() == dy.sizes(), "y has another shape than dy");
  if (g.activation == 1) return at::threshold_backward(dy, operand(c.stored(1), g), 0);
  if (g.activation == 2) return at::leaky_relu_backward(dy, operand(c.stored(1), g), 0.01, true);
  return dy;
}

constexpr float kSlopes[] = {1.0f, 0.0f, 0.01f};  // by activation

at::Tensor& activate(at::Tensor& y, const Geometry& g) {
  if (g.activation == 1) y.relu_();
  if (g.activation == 2) at::leaky_relu_(y, 0.01);
  return y;
}

at::Tensor as_rows(const at::Tensor& x) { return x.reshape({-1, x.size(-1)}); }

// x [n, …, in], filter [k…, in, out] → [n, …, out]; x as operand() gives it, filter and bias float32.
at::Tensor forward(const at::Tensor& x, const Filter& filter, const std::optional<at::Tensor>& bias, const Geometry& g,
                   const std::vector<int64_t>& shape) {
  const direct::Shape s = direct_shape(x.sizes(), shape, filter.values().sizes(), g, g.pads);
  const Method how = method(x, s, Pass::kForward);
  if (how == Method::kDirect || how == Method::kWinograd) {
    at::Tensor y = at::empty(shape, x.options());
    with_elements(x, [&](auto zero) {
      using E = decltype(zero);
      (how == Method::kWinograd ? winograd::forward<E> : direct::forward<E>)(s, x.const_data_ptr<E>(), filter.values().const_data_ptr<float>(),
                                                                             bias ? bias->const_data_ptr<float>() : nullptr, kSlopes[g.activation], y.mutable_data_ptr<E>());
    });
    return y;
  }
  const auto low_bias = bias ? std::optional<at::Tensor>(bias->to(x.scalar_type())) : std::nullopt;
  at::Tensor y = channels_last(at::convolution(channels_first(x), filter.to_aten(x.scalar_type()), low_bias, g.strides, g.pads, g.ones(), false, g.zeros(), 1));
  return activate(y, g);
}

// dy, x: channels last; filter [out, in, k…]
std::tuple<at::Tensor, at::Tensor, at::Tensor> backward(const at::Tensor& dy, const at::Tensor& x, const at::Tensor& filter,
                                                        const Geometry& g, const std::vector<int64_t>& pads, std::array<bool, 3> wanted) {
  const std::vector<int64_t> bias_size{filter.size(0)};
  return at::convolution_backward(channels_first(dy), channels_first(x), filter, bias_size, g.strides, pads, g.ones(), false, g.zeros(), 1, wanted);
}

at::Tensor input_gradient(const at::Tensor& gradient, const std::vector<int64_t>& shape, const Filter& filter, const Geometry& g,
                          const std::vector<int64_t>& pads) {
  const at::Tensor dy = contiguous(gradient);
  const direct::Shape s = direct_shape(shape, dy.sizes(), filter.values().sizes(), g, pads);
  const Method how = method(dy, s, Pass::kInputGradient);
  const at::Tensor dx = at::empty(shape, dy.options());
  if (how != Method::kAten) {
    with_elements(dy, [&](auto zero) {
      using E = decltype(zero);
      (how == Method::kWinograd ? winograd::input_gradient<E> : direct::input_gradient<E>)(s, dy.const_data_ptr<E>(), filter.values().const_data_ptr<float>(), dx.mutable_data_ptr<E>());
    });
    return dx;
  }
  // ATen asks for x, but only its shape counts here.
  return channels_last(std::get<0>(backward(dy, dx, filter.to_aten(dy.scalar_type()), g, pads, {true, false, false})));
}

struct WeightGradients {
  at::Tensor filter, bias;  // the bias where it came along, in float32 both
};

WeightGradients filter_gradient(const at::Tensor& gradient, const at::Tensor& input, const std::vector<int64_t>& shape, const Geometry& g,
                           const std::vector<int64_t>& pads) {
  const at::Tensor dy = contiguous(gradient), x = contiguous(input);
  const direct::Shape s = direct_shape(x.sizes(), dy.sizes(), shape, g, pads);
  const Method how = method(dy, s, Pass::kFilterGradient);
  if (how == Method::kAten && is_low(dy) && is_pointwise_but_strides(s) && !is_pointwise(s)) {  // what is seen of x is small
    at::Tensor seen = x;
    for (size_t d = 0; d < g.strides.size(); d++) seen = seen.slice(static_cast<int64_t>(d) + 1, 0, std::nullopt, g.strides[d]);
    return {at::mm(as_rows(seen).t(), as_rows(dy)).to(at::kFloat).reshape(shape), {}};
  }
  if (how == Method::kProduct) return {filter_gradient_by_product(s, dy, x, shape), {}};
  at::Tensor filter = at::empty(shape, dy.options().dtype(at::kFloat));
  if (how != Method::kAten) {
    with_elements(dy, [&](auto zero) {
      using E = decltype(zero);
      (how == Method::kWinograd ? winograd::filter_gradient<E> : direct::filter_gradient<E>)(s, dy.const_data_ptr<E>(), x.const_data_ptr<E>(), filter.mutable_data_ptr<float>());
    });
    return {filter, {}};
  }
  const bool with_bias = is_low(dy) && dy.is_cpu();  // oneDNN's bfloat16 sums it on its way; its float32 goes over dy again
  const auto [unused, filter_part, bias] = backward(dy, x, filter_shape(shape, x), g, pads, {false, true, with_bias});
  return {filter_from_aten(filter_part), with_bias ? bias.to(at::kFloat) : at::Tensor()};
}

// Σ dy over everything but channels.
at::Tensor bias_gradient(const at::Tensor& dy) {
  const int64_t channels = dy.size(-1);
  if (!dy.is_cpu()) return dy.reshape({-1, channels}).sum(0, false, at::kFloat);
  at::Tensor sum = at::empty({channels}, dy.options().dtype(at::kFloat));
  with_elements(dy, [&](auto zero) {
    using E = decltype(zero);
    const E* from = dy.const_data_ptr<E>();
    const auto sums = block_sums<1>(channels > 0 ? dy.numel() / channels : 0, channels, [&](int64_t row, int64_t rows, float* to) {
      add_rows(from + row * channels, rows, channels, to);
    });
    std::copy(sums.begin(), sums.end(), sum.mutable_data_ptr<float>());
  });
  return sum;
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
  const at::Tensor x = operand(c.stored(0), g);
  const Filter filter(c, 1);
  const std::optional<at::Tensor> bias = c.has(2) ? std::optional<at::Tensor>(weights_of(c, 2)) : std::nullopt;
  const std::vector<int64_t> shape = g.result(x.sizes(), filter.values().sizes());
  require(!bias || bias->numel() == shape.back(), "bias has another number of channels");
  c.out(forward(x, filter, bias, g, shape).to(g.results));
}

// dy, y?, filter → dx
void conv_input_grad(Call& c) {
  const Geometry g(c);
  const auto shape = c.integers();
  const at::Tensor dy = through_activation(c, g);
  const Filter filter(c, 2);
  require(dy.sizes() == at::IntArrayRef(g.result(shape, filter.values().sizes())), "dy has another shape than the result");
  const auto boxes = non_zero_boxes(dy, kSparseShare);
  if (!boxes) return c.out(input_gradient(dy, shape, filter, g, g.pads).to(g.results));
  at::Tensor dx = at::zeros(shape, dy.options());
  const std::vector<int64_t> window(filter.values().sizes().begin(), filter.values().sizes().end() - 2);
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
  c.out(dx.to(g.results));
}

// dy, y?, x → dFilter, dBias
void conv_filter_grad(Call& c) {
  const Geometry g(c);
  const auto shape = c.integers();  // [k…, in, out]
  const at::Tensor dy = through_activation(c, g);
  const at::Tensor x = operand(c.stored(2), g);
  require(dy.sizes() == at::IntArrayRef(g.result(x.sizes(), shape)), "dy has another shape than the result");
  const auto boxes = non_zero_boxes(dy, kSparseShare);
  if (!boxes) {
    const WeightGradients gradients = filter_gradient(dy, x, shape, g, g.pads);
    c.out(gradients.filter, 0);
    return c.out(gradients.bias.defined() ? gradients.bias : bias_gradient(dy), 1);
  }
  c.out(bias_gradient(dy), 1);
  at::Tensor sum = at::zeros(shape, dy.options().dtype(at::kFloat));
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
    sum.add_(filter_gradient(crop(dy, box.image, box.begin, box.end), seen, shape, g, g.zeros()).filter);
  }
  c.out(std::move(sum), 0);
}

}  // namespace

void add_conv(std::vector<Kernel>& k) {
  k.insert(k.end(), {{"ConvAct", conv_act}, {"ConvActInputGrad", conv_input_grad}, {"ConvActFilterGrad", conv_filter_grad}});
}

}  // namespace mdt
