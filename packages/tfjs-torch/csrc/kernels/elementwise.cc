// Kernels that treat every element alone.
#include "../call.h"

namespace mdt {
namespace {

using Unary = at::Tensor (*)(const at::Tensor&);
using Binary = at::Tensor (*)(const at::Tensor&, const at::Tensor&);

template <Unary F>
void unary(Call& c) {
  c.out(F(c.in(0)));
}

template <Binary F>
void binary(Call& c) {
  c.out(F(c.in(0), c.in(1)));
}

at::Tensor add(const at::Tensor& a, const at::Tensor& b) {
  if (a.scalar_type() == at::kBool && b.scalar_type() == at::kBool) return at::add(a.to(at::kInt), b.to(at::kInt));
  return at::add(a, b);
}
at::Tensor subtract(const at::Tensor& a, const at::Tensor& b) { return at::sub(a, b); }
at::Tensor squared_difference(const at::Tensor& a, const at::Tensor& b) {
  const at::Tensor d = at::sub(a, b);
  return at::mul(d, d);
}
at::Tensor floor_divide(const at::Tensor& a, const at::Tensor& b) {
  return a.scalar_type() == at::kFloat ? at::floor(at::div(a, b)) : at::floor_divide(a, b);
}
at::Tensor divide(const at::Tensor& a, const at::Tensor& b) {
  return a.scalar_type() == at::kInt && b.scalar_type() == at::kInt ? at::div(a, b, "trunc") : at::div(a, b);
}
at::Tensor step(const at::Tensor& x, double alpha) {
  const at::Tensor one = at::ones({}, x.options());
  const at::Tensor y = at::where(x > 0, one, at::full({}, alpha, x.options()));
  return x.is_floating_point() ? at::where(at::isnan(x), x, y) : y;
}
at::Tensor is_finite(const at::Tensor& x) { return at::isfinite(x); }
at::Tensor is_inf(const at::Tensor& x) { return at::isinf(x); }
at::Tensor is_nan(const at::Tensor& x) { return at::isnan(x); }
at::Tensor square(const at::Tensor& x) { return at::mul(x, x); }
at::Tensor round_even(const at::Tensor& x) { return at::round(x); }
at::Tensor relu6(const at::Tensor& x) { return at::clamp(x, 0, 6); }
at::Tensor elu(const at::Tensor& x) { return at::elu(x); }
at::Tensor selu(const at::Tensor& x) { return at::selu(x); }
at::Tensor softplus(const at::Tensor& x) { return at::softplus(x); }
at::Tensor identity(const at::Tensor& x) { return x; }

at::ScalarType scalar_type(int64_t dtype) { return dtype == 0 ? at::kFloat : dtype == 1 ? at::kInt : at::kBool; }

// Truncates towards zero like a C cast; NaN becomes 0.
void cast(Call& c) {
  const auto type = scalar_type(c.integer());
  const at::Tensor& x = c.in(0);
  if (type == at::kBool && x.is_floating_point()) return c.out(at::ne(x, 0));
  if (type == at::kInt && x.is_floating_point()) return c.out(at::nan_to_num(x).to(at::kInt));
  c.out(x.to(type));
}

void fill(Call& c) {
  const auto type = scalar_type(c.integer());
  const double value = c.number();
  c.out(at::full(c.integers(), value, at::TensorOptions().dtype(type)));
}

at::Tensor& activate(at::Tensor& x, int64_t activation) {
  if (activation == 1) return x.relu_();
  if (activation == 2) return at::leaky_relu_(x, 0.01);
  return x;
}

}  // namespace

void add_elementwise(std::vector<Kernel>& k) {
  k.insert(k.end(), {
      {"Abs", unary<at::abs>}, {"Acos", unary<at::acos>}, {"Acosh", unary<at::acosh>}, {"Asin", unary<at::asin>},
      {"Asinh", unary<at::asinh>}, {"Atan", unary<at::atan>}, {"Atanh", unary<at::atanh>}, {"Ceil", unary<at::ceil>},
      {"Cos", unary<at::cos>}, {"Cosh", unary<at::cosh>}, {"Elu", unary<elu>}, {"Erf", unary<at::erf>},
      {"Exp", unary<at::exp>}, {"Expm1", unary<at::expm1>}, {"Floor", unary<at::floor>}, {"Identity", unary<identity>},
      {"IsFinite", unary<is_finite>}, {"IsInf", unary<is_inf>}, {"IsNan", unary<is_nan>}, {"Log", unary<at::log>},
      {"Log1p", unary<at::log1p>}, {"LogicalNot", unary<at::logical_not>}, {"Neg", unary<at::neg>},
      {"Reciprocal", unary<at::reciprocal>}, {"Relu", unary<at::relu>}, {"Relu6", unary<relu6>},
      {"Round", unary<round_even>}, {"Rsqrt", unary<at::rsqrt>}, {"Selu", unary<selu>}, {"Sigmoid", unary<at::sigmoid>},
      {"Sign", unary<at::sign>}, {"Sin", unary<at::sin>}, {"Sinh", unary<at::sinh>}, {"Softplus", unary<softplus>},
      {"Sqrt", unary<at::sqrt>}, {"Square", unary<square>}, {"Tan", unary<at::tan>}, {"Tanh", unary<at::tanh>},
      {"Add", binary<add>}, {"Atan2", binary<at::atan2>}, {"Equal", binary<at::eq>}, {"FloorDiv", binary<floor_divide>},
      {"Greater", binary<at::gt>}, {"GreaterEqual", binary<at::ge>}, {"Less", binary<at::lt>}, {"LessEqual", binary<at::le>},
      {"LogicalAnd", binary<at::logical_and>}, {"LogicalOr", binary<at::logical_or>}, {"Maximum", binary<at::maximum>},
      {"Minimum", binary<at::minimum>}, {"Mod", binary<at::remainder>}, {"Multiply", binary<at::mul>},
      {"NotEqual", binary<at::ne>}, {"Pow", binary<at::pow>}, {"Prelu", [](Call& c) {
         const at::Tensor& x = c.in(0);
         c.out(at::where(x >= 0, x, x * c.in(1)));
       }},
      {"RealDiv", binary<divide>}, {"SquaredDifference", binary<squared_difference>}, {"Sub", binary<subtract>},
      {"Cast", cast}, {"Fill", fill},
      {"Step", [](Call& c) { c.out(step(c.in(0), c.number())); }},
      {"LeakyRelu", [](Call& c) { c.out(at::leaky_relu(c.in(0), c.number())); }},
      {"ClipByValue", [](Call& c) {
         const double low = c.number();
         c.out(at::clamp(c.in(0), low, c.number()));
       }},
      {"EluGrad", [](Call& c) {
         const at::Tensor& y = c.in(1);
         c.out(at::where(y >= 0, c.in(0), c.in(0) * (y + 1)));
       }},
      {"AddN", [](Call& c) {
         at::Tensor sum = c.in(0).clone();
         for (size_t i = 1; i < c.num_inputs(); i++) sum.add_(c.in(i));
         c.out(std::move(sum));
       }},
      {"Select", [](Call& c) {
         at::Tensor condition = c.in(0);
         while (condition.dim() < c.in(1).dim()) condition = condition.unsqueeze(-1);
         c.out(at::where(condition, c.in(1), c.in(2)));
       }},
      {"AddAct", [](Call& c) {
         at::Tensor y = at::add(c.in(0), c.in(1));
         c.out(activate(y, c.integer()));
       }},
      {"ActGrad", [](Call& c) {
         const int64_t activation = c.integer();
         if (activation == 1) return c.out(at::threshold_backward(c.in(0), c.in(1), 0));
         if (activation == 2) return c.out(at::leaky_relu_backward(c.in(0), c.in(1), 0.01, true));
         c.out(c.in(0));
       }},
  });
}

}  // namespace mdt
