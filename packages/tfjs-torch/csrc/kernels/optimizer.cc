// One optimizer step for one variable.
#include <ATen/Parallel.h>

#include <cmath>

#include "../call.h"

namespace mdt {
namespace {

// value, grad, m, v → value, m, v, in the memory of what they follow where the caller gives that up. Kingma and Ba 2015, algorithm 1; decoupled weight decay of Loshchilov and Hutter 2019.
void adam_step(Call& c) {
  const double rate = c.number(), beta1 = c.number(), beta2 = c.number(), epsilon = c.number(), decay = c.number(), step = c.number();
  const bool in_place[] = {c.flag() && c.is_alone(0), c.flag() && c.is_alone(2), c.flag() && c.is_alone(3)};
  const at::Tensor value = c.in(0).contiguous(), grad = contiguous(c.stored(1)), m = c.in(2).contiguous(), v = c.in(3).contiguous();
  if (grad.sizes() != value.sizes() || m.sizes() != value.sizes() || v.sizes() != value.sizes()) {
    throw std::invalid_argument("value, grad, m and v must have one shape");
  }
  if (!value.is_cpu()) {  // composed of ATen's kernels
    const at::Tensor first = m * beta1 + grad * (1 - beta1), second = v * beta2 + grad * grad * (1 - beta2);
    const at::Tensor root = at::sqrt(second) / std::sqrt(1 - std::pow(beta2, step)) + epsilon;
    c.out(value * (1 - rate * decay) - first / root * (rate / (1 - std::pow(beta1, step))), 0);
    c.out(first, 1);
    return c.out(second, 2);
  }
  const auto result = [&](const at::Tensor& before, bool same) { return same ? before : at::empty_like(before); };
  const at::Tensor new_value = result(value, in_place[0]), new_m = result(m, in_place[1]), new_v = result(v, in_place[2]);
  const float size = static_cast<float>(rate / (1 - std::pow(beta1, step)));
  const float correction = static_cast<float>(1 / std::sqrt(1 - std::pow(beta2, step)));
  const float keep = static_cast<float>(1 - rate * decay), eps = static_cast<float>(epsilon);
  const float b1 = static_cast<float>(beta1), b2 = static_cast<float>(beta2);
  const float *pw = value.const_data_ptr<float>(), *pm = m.const_data_ptr<float>(), *pv = v.const_data_ptr<float>();
  float *nw = new_value.mutable_data_ptr<float>(), *nm = new_m.mutable_data_ptr<float>(), *nv = new_v.mutable_data_ptr<float>();
  with_elements(grad, [&](auto zero) {
    const auto* pg = grad.const_data_ptr<decltype(zero)>();
    at::parallel_for(0, value.numel(), 65536, [&](int64_t first, int64_t last) {
      for (int64_t i = first; i < last; i++) {
        const float g = static_cast<float>(pg[i]);
        nm[i] = b1 * pm[i] + (1 - b1) * g;
        nv[i] = b2 * pv[i] + (1 - b2) * g * g;
        nw[i] = keep * pw[i] - size * nm[i] / (std::sqrt(nv[i]) * correction + eps);
      }
    });
  });
  c.out(new_value, 0);
  c.out(new_m, 1);
  c.out(new_v, 2);
}

}  // namespace

void add_optimizer(std::vector<Kernel>& k) { k.push_back({"AdamStep", adam_step}); }

}  // namespace mdt
