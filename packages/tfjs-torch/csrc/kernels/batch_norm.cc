// Normalisation by given statistics.
#include "../call.h"

namespace mdt {
namespace {

// x, mean, variance, scale?, offset? → (x − mean) · scale / √(variance + ε) + offset, in this order, which keeps the digits of
// a small deviation from a large mean.
void fused_batch_norm(Call& c) {
  const double epsilon = c.number();
  const at::Tensor gain = at::rsqrt(c.in(2) + epsilon);
  at::Tensor y = c.in(0) - c.in(1);
  y.mul_(c.has(3) ? gain * c.in(3) : gain);
  if (c.has(4)) y.add_(c.in(4));
  c.out(std::move(y));
}

}  // namespace

void add_batch_norm(std::vector<Kernel>& k) { k.push_back({"FusedBatchNorm", fused_batch_norm}); }

}  // namespace mdt
