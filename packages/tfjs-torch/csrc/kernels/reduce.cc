// Reductions over axes, softmax, running sums.
#include <limits>

#include "../call.h"

namespace mdt {
namespace {

at::ScalarType sum_type(const at::Tensor& x) { return x.is_complex() ? at::kComplexFloat : x.is_floating_point() ? at::kFloat : at::kInt; }

void sum(Call& c) {
  const auto axes = c.integers();
  const bool keep = c.flag();
  if (axes.empty()) return c.out(c.in(0).to(sum_type(c.in(0))));
  c.out(at::sum(c.in(0), axes, keep, sum_type(c.in(0))));
}

void mean(Call& c) {
  const auto axes = c.integers();
  const bool keep = c.flag();
  const at::Tensor x = c.in(0).to(at::kFloat);
  c.out(axes.empty() ? x : at::mean(x, axes, keep));
}

// One axis after the other, the last first, for reductions that ATen has for a single axis only.
template <class F>
at::Tensor each_axis(const at::Tensor& x, std::vector<int64_t> axes, bool keep, F reduce) {
  std::sort(axes.begin(), axes.end());
  at::Tensor y = x;
  for (auto axis = axes.rbegin(); axis != axes.rend(); ++axis) y = reduce(y, *axis, keep);
  return y;
}

template <bool kMax>
void extreme(Call& c) {
  const auto axes = c.integers();
  const bool keep = c.flag();
  if (axes.empty()) return c.out(c.in(0));
  c.out(kMax ? at::amax(c.in(0), axes, keep) : at::amin(c.in(0), axes, keep));
}

// What stands in for a value that no comparison finds: ATen takes NaN for the extreme, and no booleans.
at::Tensor ordered(const at::Tensor& x, double nan) {
  if (x.scalar_type() == at::kBool) return x.to(at::kInt);
  constexpr double infinity = std::numeric_limits<double>::infinity();
  return x.is_floating_point() ? at::nan_to_num(x, nan, infinity, -infinity) : x;
}

// Sums or products up to and with each element, or up to it.
template <bool kProduct>
void running(Call& c) {
  const int64_t axis = c.integer();
  const bool exclusive = c.flag(), reverse = c.flag();
  const at::Tensor x = reverse ? at::flip(c.in(0), {axis}) : c.in(0);
  at::Tensor y = kProduct ? at::cumprod(x, axis, sum_type(x)) : at::cumsum(x, axis, sum_type(x));
  const int64_t n = y.size(axis);
  if (exclusive && n > 0) y = at::cat({at::full_like(y.narrow(axis, 0, 1), kProduct ? 1 : 0), y.narrow(axis, 0, n - 1)}, axis);
  c.out(reverse ? at::flip(y, {axis}) : y);
}

void softmax(Call& c) { c.out(at::softmax(c.in(0), -1)); }
void log_softmax(Call& c) { c.out(at::log_softmax(c.in(0), -1)); }

}  // namespace

void add_reduce(std::vector<Kernel>& k) {
  k.insert(k.end(), {
      {"Sum", sum}, {"Mean", mean}, {"Max", extreme<true>}, {"Min", extreme<false>},
      {"Prod", [](Call& c) {
         const auto axes = c.integers();
         const auto type = sum_type(c.in(0));
         c.out(each_axis(c.in(0).to(type), axes, c.flag(), [type](const at::Tensor& x, int64_t a, bool keep) { return at::prod(x, a, keep, type); }));
       }},
      {"All", [](Call& c) {
         const auto axes = c.integers();
         c.out(each_axis(c.in(0), axes, c.flag(), [](const at::Tensor& x, int64_t a, bool keep) { return at::all(x, a, keep); }));
       }},
      {"Any", [](Call& c) {
         const auto axes = c.integers();
         c.out(each_axis(c.in(0), axes, c.flag(), [](const at::Tensor& x, int64_t a, bool keep) { return at::any(x, a, keep); }));
       }},
      {"ArgMax", [](Call& c) { c.out(at::argmax(ordered(c.in(0), -std::numeric_limits<double>::infinity()), c.integer()).to(at::kInt)); }},
      {"ArgMin", [](Call& c) { c.out(at::argmin(ordered(c.in(0), std::numeric_limits<double>::infinity()), c.integer()).to(at::kInt)); }},
      {"Cumsum", running<false>}, {"Cumprod", running<true>}, {"Softmax", softmax}, {"LogSoftmax", log_softmax},
  });
}

}  // namespace mdt
