// Kernels that treat every element alone.
#include "../call.h"

namespace mdt {
namespace {

using Unary = at::Tensor (*)(const at::Tensor&);
using Binary = at::Tensor (*)(const at::Tensor&, const at::Tensor&);

// Whether a kernel keeps what is held in 16 bits so: where all its inputs are.
enum class Held { kFloat, kAlike };

template <Unary F, Held held = Held::kFloat>
void unary(Call& c) {
  c.out(F(held == Held::kAlike ? c.stored(0) : c.in(0)));
}

template <Binary F>
void binary(Call& c) {
  c.out(F(c.in(0), c.in(1)));
}

// Functions whose values are no integers.
template <Unary F>
void real(Call& c) {
  c.out(F(c.in(0).to(at::kFloat)));
}

// Arithmetic on two booleans counts them.
template <Binary F, Held held = Held::kFloat>
void arithmetic(Call& c) {
  const at::Tensor &a = held == Held::kAlike ? c.alike(0) : c.in(0), &b = held == Held::kAlike ? c.alike(1) : c.in(1);
  const bool booleans = a.scalar_type() == at::kBool && b.scalar_type() == at::kBool;
  c.out(booleans ? F(a.to(at::kInt), b.to(at::kInt)) : F(a, b));
}

// Integers divided by zero give zero, as in JavaScript's typed arrays; ATen throws.
template <class F>
at::Tensor guarded(const at::Tensor& a, const at::Tensor& b, F divide) {
  const at::Tensor zero = at::eq(b, 0);
  return at::where(zero, at::zeros({}, a.options()), divide(a, at::where(zero, at::ones({}, b.options()), b)));
}

bool fractional(const at::Tensor& x) { return x.is_floating_point() || x.is_complex(); }
bool floating(const at::Tensor& a, const at::Tensor& b) { return fractional(a) || fractional(b); }

at::Tensor add(const at::Tensor& a, const at::Tensor& b) { return at::add(a, b); }
at::Tensor subtract(const at::Tensor& a, const at::Tensor& b) { return at::sub(a, b); }
at::Tensor squared_difference(const at::Tensor& a, const at::Tensor& b) {
  const at::Tensor d = at::sub(a, b);
  return at::mul(d, d);
}
at::Tensor remainder(const at::Tensor& a, const at::Tensor& b) {
  if (floating(a, b)) return at::remainder(a, b);
  return guarded(a, b, [](const at::Tensor& x, const at::Tensor& y) { return at::remainder(x, y); });
}
at::Tensor to_int(const at::Tensor& x) { return at::nan_to_num(x, 0, 0, 0).to(at::kInt); }
at::Tensor floor_divide(const at::Tensor& a, const at::Tensor& b) {
  if (floating(a, b)) return to_int(at::floor(at::div(a, b)));
  return guarded(a, b, [](const at::Tensor& x, const at::Tensor& y) { return at::floor_divide(x, y); });
}
at::Tensor divide(const at::Tensor& a, const at::Tensor& b) {
  if (floating(a, b)) return at::div(a, b);
  return guarded(a, b, [](const at::Tensor& x, const at::Tensor& y) { return at::div(x, y, "trunc"); });
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

// Truncates towards zero like a C cast; NaN and infinities become 0. Of a complex number the real part is cast.
void cast(Call& c) {
  const auto type = element_type(c.integer());
  const at::Tensor x = c.in(0).is_complex() && type != at::kComplexFloat ? at::real(c.in(0)).contiguous() : c.in(0);
  if (type == at::kBool && x.is_floating_point()) return c.out(at::ne(x, 0));
  if (type == at::kInt && x.is_floating_point()) return c.out(to_int(x));
  c.out(x.to(type));
}

void fill(Call& c) {
  const auto type = element_type(c.integer());
  const double value = c.number();
  c.out(at::full(c.integers(), value, c.options(type)));
}

// a + b in the memory of a, and in its type.
at::Tensor add_to(const at::Tensor& a, const at::Tensor& b) {
  if (a.scalar_type() == b.scalar_type() || a.dim() == 0) return a.add_(b);
  for (int64_t i = 0; i < a.size(0); i++) a.select(0, i).add_(b.select(0, i));  // ATen converts one of them, whole
  return a;
}

at::Tensor& activate(at::Tensor& x, int64_t activation) {
  if (activation == 1) return x.relu_();
  if (activation == 2) return at::leaky_relu_(x, 0.01);
  return x;
}

}  // namespace

void add_elementwise(std::vector<Kernel>& k) {
  k.insert(k.end(), {
      {"Abs", unary<at::abs>}, {"Acos", real<at::acos>}, {"Acosh", real<at::acosh>}, {"Asin", real<at::asin>},
      {"Asinh", real<at::asinh>}, {"Atan", real<at::atan>}, {"Atanh", real<at::atanh>}, {"Ceil", unary<at::ceil>},
      {"Cos", real<at::cos>}, {"Cosh", real<at::cosh>}, {"Elu", real<elu>}, {"Erf", real<at::erf>},
      {"Exp", real<at::exp>}, {"Expm1", real<at::expm1>}, {"Floor", unary<at::floor>}, {"Identity", unary<identity, Held::kAlike>},
      {"IsFinite", unary<is_finite>}, {"IsInf", unary<is_inf>}, {"IsNan", unary<is_nan>}, {"Log", real<at::log>},
      {"Log1p", real<at::log1p>}, {"LogicalNot", unary<at::logical_not>}, {"Neg", unary<at::neg>},
      {"Reciprocal", real<at::reciprocal>}, {"Relu", unary<at::relu, Held::kAlike>}, {"Relu6", unary<relu6, Held::kAlike>},
      {"Round", unary<round_even>}, {"Rsqrt", real<at::rsqrt>}, {"Selu", real<selu>}, {"Sigmoid", real<at::sigmoid>},
      {"Sign", unary<at::sign>}, {"Sin", real<at::sin>}, {"Sinh", real<at::sinh>}, {"Softplus", real<softplus>},
      {"Sqrt", real<at::sqrt>}, {"Square", unary<square>}, {"Tan", real<at::tan>}, {"Tanh", real<at::tanh>},
      {"Add", arithmetic<add, Held::kAlike>}, {"Atan2", binary<at::atan2>}, {"Equal", binary<at::eq>}, {"FloorDiv", arithmetic<floor_divide>},
      {"Greater", binary<at::gt>}, {"GreaterEqual", binary<at::ge>}, {"Less", binary<at::lt>}, {"LessEqual", binary<at::le>},
      {"LogicalAnd", binary<at::logical_and>}, {"LogicalOr", binary<at::logical_or>}, {"Maximum", arithmetic<at::maximum>},
      {"Minimum", arithmetic<at::minimum>}, {"Mod", arithmetic<remainder>}, {"Multiply", arithmetic<at::mul>},
      {"NotEqual", binary<at::ne>}, {"BitwiseAnd", binary<at::bitwise_and>}, {"Pow", arithmetic<at::pow>}, {"Prelu", [](Call& c) {
         const at::Tensor& x = c.in(0);
         c.out(at::where(x >= 0, x, x * c.in(1)));
       }},
      {"RealDiv", arithmetic<divide>}, {"SquaredDifference", arithmetic<squared_difference>}, {"Sub", arithmetic<subtract>},
      {"Cast", cast}, {"Fill", fill},
      {"Step", [](Call& c) { c.out(step(c.in(0), c.number())); }},
      {"LeakyRelu", [](Call& c) { c.out(at::leaky_relu(is_low(c.stored(0)) ? c.stored(0) : c.in(0).to(at::kFloat), c.number())); }},
      {"ClipByValue", [](Call& c) {
         const double low = c.number();
         c.out(at::clamp(c.in(0), low, c.number()).to(c.in(0).scalar_type()));
       }},
      {"EluGrad", [](Call& c) {
         const at::Tensor& y = c.in(1);
         c.out(at::where(y >= 0, c.in(0), c.in(0) * (y + 1)));
       }},
      {"AddN", [](Call& c) {
         at::Tensor sum = c.alike(0).clone();
         for (size_t i = 1; i < c.num_inputs(); i++) sum.add_(c.alike(i));
         c.out(std::move(sum));
       }},
      {"Select", [](Call& c) {
         at::Tensor condition = c.in(0);
         while (condition.dim() < c.in(1).dim()) condition = condition.unsqueeze(-1);
         c.out(at::where(condition, c.in(1), c.in(2)));
       }},
      {"AddAct", [](Call& c) {
         const int64_t activation = c.integer();
         const bool in_place = c.flag() && c.is_alone(0);
         at::Tensor y = in_place ? add_to(c.stored(0), c.stored(1)) : at::add(c.alike(0), c.alike(1));
         c.out(activate(y, activation));
       }},
      {"ActGrad", [](Call& c) {
         const int64_t activation = c.integer();
         const at::Tensor dy = activation == 0 ? c.stored(0) : converted(c.stored(0), c.stored(1).scalar_type());
         if (activation == 1) return c.out(at::threshold_backward(dy, c.stored(1), 0));
         if (activation == 2) return c.out(at::leaky_relu_backward(dy, c.stored(1), 0.01, true));
         c.out(dy);
       }},
  });
}

}  // namespace mdt
