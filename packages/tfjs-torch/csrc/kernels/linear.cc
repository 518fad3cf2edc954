// Matrix products.
#include "../call.h"

namespace mdt {

void add_linear(std::vector<Kernel>& k) {
  k.push_back({"BatchMatMul", [](Call& c) {
                 const at::Tensor a = c.flag() ? c.in(0).transpose(-2, -1) : c.in(0);
                 const at::Tensor b = c.flag() ? c.in(1).transpose(-2, -1) : c.in(1);
                 c.out(at::matmul(a, b));
               }});
}

}  // namespace mdt
