// Sums over all rows of [rows, channels], per channel.
#pragma once
#include <ATen/Parallel.h>

#include <algorithm>
#include <cstdint>
#include <vector>

namespace mdt {

// N sums per channel, [N, channels], of what `add(first row, rows, sums)` adds for a block of rows. Each thread sums its own part,
// blocks of rows in float and blocks in double; parts are added in a fixed order, so that no result depends on timing.
template <int N, class F>
std::vector<double> block_sums(int64_t rows, int64_t channels, F add) {
  constexpr int64_t kBlock = 128;
  const int64_t parts = std::max<int64_t>(1, std::min<int64_t>(at::get_num_threads(), rows / 512));
  const int64_t width = N * channels;
  std::vector<double> partial(parts * width, 0.0);
  at::parallel_for(0, parts, 1, [&](int64_t first, int64_t last) {
    std::vector<float> block(width);
    for (int64_t p = first; p < last; p++) {
      const int64_t end = rows * (p + 1) / parts;
      for (int64_t begin = rows * p / parts; begin < end; begin += kBlock) {
        std::fill(block.begin(), block.end(), 0.0f);
        add(begin, std::min(end - begin, kBlock), block.data());
        for (int64_t i = 0; i < width; i++) partial[p * width + i] += block[i];
      }
    }
  });
  for (int64_t p = 1; p < parts; p++) {
    for (int64_t i = 0; i < width; i++) partial[i] += partial[p * width + i];
  }
  partial.resize(width);
  return partial;
}

// The same, row by row: `term(first element of the row, sums)`.
template <int N, class F>
std::vector<double> channel_sums(int64_t rows, int64_t channels, F term) {
  return block_sums<N>(rows, channels, [&](int64_t first, int64_t count, float* sums) {
    for (int64_t row = first; row < first + count; row++) term(row * channels, sums);
  });
}

}  // namespace mdt
