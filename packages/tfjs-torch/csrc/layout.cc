#include "layout.h"

namespace mdt {

Copies& copies() {
  thread_local Copies instance;
  return instance;
}

bool has_bfloat16_products() {
#if defined(__x86_64__)
  static const bool has = __builtin_cpu_supports("avx512bf16");
  return has;
#else
  return false;
#endif
}

}  // namespace mdt
