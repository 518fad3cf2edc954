#include "weighted_rows.h"

#include "isa.h"

namespace mdt {
namespace {

#ifdef MDT_VECTORS
#define MDT_LOOPS "weighted_rows.inc"
#include "each_isa.inc"
#endif

}  // namespace

template <class From, class To>
void weighted_rows(const From* from, const Terms& terms, int64_t n, To* to) {
  const int64_t rows = static_cast<int64_t>(terms.ends.size());
#ifdef MDT_VECTORS
  MDT_BEST_ISA(sum_terms, from, terms.ends.data(), terms.offsets.data(), terms.weights.data(), rows, n, to);
#else
  int64_t begin = 0;
  for (int64_t r = 0; r < rows; begin = terms.ends[r++], to += n) {
    for (int64_t i = 0; i < n; i++) {
      float sum = 0;
      for (int64_t t = begin; t < terms.ends[r]; t++) sum += terms.weights[t] * static_cast<float>(from[terms.offsets[t] + i]);
      to[i] = static_cast<To>(sum);
    }
  }
#endif
}

template void weighted_rows(const float*, const Terms&, int64_t, float*);
template void weighted_rows(const float*, const Terms&, int64_t, c10::BFloat16*);
template void weighted_rows(const c10::BFloat16*, const Terms&, int64_t, float*);
template void weighted_rows(const c10::BFloat16*, const Terms&, int64_t, c10::BFloat16*);

}  // namespace mdt
