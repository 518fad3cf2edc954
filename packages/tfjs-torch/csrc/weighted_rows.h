// Rows as sums of weighted rows, over elements of type float or bfloat16; sums are float.
#pragma once
#include <c10/util/BFloat16.h>

#include <cstdint>
#include <vector>

namespace mdt {

// The terms of each row of the result, one row after the other; those of row r end at ends[r].
struct Terms {
  std::vector<int64_t> ends, offsets;  // offsets: of the first element of a term
  std::vector<float> weights;
  void clear() {
    ends.clear();
    offsets.clear();
    weights.clear();
  }
  void add(int64_t offset, float weight) {
    offsets.push_back(offset);
    weights.push_back(weight);
  }
  void end_row() { ends.push_back(static_cast<int64_t>(offsets.size())); }
};

// to[r, i] = Σ weight · from[offset + i] over the terms of row r, 0 ≤ i < n.
template <class From, class To> void weighted_rows(const From* from, const Terms& terms, int64_t n, To* to);

}  // namespace mdt
