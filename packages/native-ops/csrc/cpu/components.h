// Connected components of images and volumes. Twin: src/reference/components.ts
//
// A row of cells is cut into runs, kept as bits (row_bits.h); runs of neighbouring rows that touch are joined in a forest (Wu,
// Otoo and Suzuki 2009 on cells). Slabs of rows are worked on side by side and their seams joined afterwards.
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <numeric>
#include <vector>

#include "../parallel.h"
#include "row_bits.h"

namespace mdt {

template <int D>
struct ComponentsOptions {
  int64_t size[D];      // fewer than 2^31 cells
  int reach;            // neighbours differ along at most so many axes, by 1 each
  bool equal;           // neighbours belong together when their values are equal; else when both are not 0
  const float* scores;  // [...size] or null
};

// Of each component: the half-open box [min..., max...], how many cells, the value of the first; the sum and the largest of its
// scores where there are any.
struct Components {
  std::vector<int32_t> boxes;
  std::vector<double> cells;
  std::vector<double> values;
  std::vector<double> sums;
  std::vector<double> maxima;
};

namespace components_detail {

// A forest over runs, which count from 1, in which the root is always the run that comes first.
class Forest {
 public:
  explicit Forest(int64_t runs) : parents_(runs + 1) {}

  void plant(int32_t run) { parents_[run] = run; }

  void join(int32_t a, int32_t b) {
    a = root(a);
    b = root(b);
    if (a != b) parents_[std::max(a, b)] = std::min(a, b);
  }

  // Puts in the place of every run the number of its tree, from 1, by their roots' order; returns how many there are. No run
  // can be joined afterwards.
  int32_t number() {
    int32_t count = 0;
    const auto end = static_cast<int32_t>(parents_.size());
    for (int32_t run = 1; run < end; ++run) parents_[run] = parents_[run] == run ? ++count : parents_[parents_[run]];
    return count;
  }

  // By run, once they are numbered; [0] is 0.
  const int32_t* numbers() const { return parents_.data(); }

 private:
  int32_t root(int32_t run) {
    while (parents_[run] != run) {
      parents_[run] = parents_[parents_[run]];
      run = parents_[run];
    }
    return run;
  }

  std::vector<int32_t> parents_;
};

// A neighbouring row that comes earlier, and whether its cells touch by a corner too.
template <int D>
struct RowOffset {
  int64_t step[D];
  bool corners;
};

template <int D>
std::vector<RowOffset<D>> row_offsets(int reach) {
  std::vector<RowOffset<D>> offsets;
  int64_t combinations = 1;
  for (int d = 0; d + 1 < D; ++d) combinations *= 3;
  for (int64_t code = 0; code < combinations; ++code) {
    RowOffset<D> offset{};
    int axes = 0;
    int first = 0;
    int64_t rest = code;
    for (int d = D - 2; d >= 0; --d, rest /= 3) {
      offset.step[d] = rest % 3 - 1;
      if (offset.step[d] != 0) {
        ++axes;
        first = static_cast<int>(offset.step[d]);
      }
    }
    if (first >= 0 || axes > reach) continue;  // only earlier rows: the outermost step decides
    offset.corners = axes < reach;
    offsets.push_back(offset);
  }
  return offsets;
}

// The index of a row along all axes but the last.
template <int D>
void row_index(int64_t row, const int64_t* size, int64_t* index) {
  for (int d = D - 2; d >= 0; --d) {
    index[d] = row % size[d];
    row /= size[d];
  }
}

// Writes the numbers of the cells of one word, `n` of them.
inline void write_labels(const RowWord& word, const int32_t* numbers, int64_t n, int32_t* labels) {
  if (word.on == 0) {
    std::fill_n(labels, n, 0);
    return;
  }
  if (word.starts == 0 && word.on == ~uint64_t{0}) {
    std::fill_n(labels, n, numbers[word.earlier]);
    return;
  }
  const int32_t* number = numbers + word.earlier;
  for (int64_t i = 0; i < n; ++i) {
    number += word.starts >> i & 1;
    labels[i] = *number & -static_cast<int32_t>(word.on >> i & 1);
  }
}

// Calls `visit(run, begin, end)` for each stretch of cells of one run in word `w` of a row.
template <class Visit>
void each_stretch(const RowWord& word, int64_t w, const Visit& visit) {
  const auto x = static_cast<int32_t>(w * row_bits::kCells);
  int32_t run = word.earlier;
  uint64_t begins = word.starts | (word.on & 1);
  const uint64_t ends = word.starts | ~word.on;
  if ((word.on & ~word.starts & 1) == 0) ++run;  // unless a run of the word before goes on
  for (; begins != 0; begins &= begins - 1, ++run) {
    const uint64_t behind = ends & ~(begins ^ (begins - 1));
    const auto length = static_cast<int32_t>(row_bits::kCells);
    visit(run, x + row_bits::lowest(begins), x + (behind != 0 ? row_bits::lowest(behind) : length));
  }
}

// Writes what is known of each component; `sums` and `maxima` are those of the scores of each run, empty without scores.
template <int D, class T>
Components describe(const T* values, const int64_t* size, const std::vector<RowWord>& words, const int32_t* numbers,
                    int32_t count, const std::vector<double>& sums, const std::vector<double>& maxima) {
  Components found;
  found.boxes.resize(int64_t{2} * D * count);
  found.cells.resize(count);
  found.values.resize(count);
  const int64_t row_length = words_per_row(size[D - 1]);
  const int64_t rows = static_cast<int64_t>(words.size()) / row_length;
  for (int64_t row = 0; row < rows; ++row) {
    int64_t index[D];
    row_index<D>(row, size, index);
    const T* cells = values + row * size[D - 1];
    for (int64_t w = 0; w < row_length; ++w) {
      each_stretch(words[row * row_length + w], w, [&](int32_t run, int32_t begin, int32_t end) {
        const int64_t i = numbers[run] - 1;
        int32_t* min = found.boxes.data() + 2 * D * i;
        int32_t* max = min + D;
        if (found.cells[i] == 0) {
          found.values[i] = static_cast<double>(cells[begin]);
          for (int d = 0; d + 1 < D; ++d) min[d] = static_cast<int32_t>(index[d]);
          min[D - 1] = begin;
        }
        for (int d = 0; d + 1 < D; ++d) {
          min[d] = std::min(min[d], static_cast<int32_t>(index[d]));
          max[d] = std::max(max[d], static_cast<int32_t>(index[d]) + 1);
        }
        min[D - 1] = std::min(min[D - 1], begin);
        max[D - 1] = std::max(max[D - 1], end);
        found.cells[i] += end - begin;
      });
    }
  }
  if (sums.empty()) return found;
  found.sums.assign(count, 0);
  found.maxima.assign(count, -std::numeric_limits<double>::infinity());
  for (std::size_t run = 1; run < sums.size(); ++run) {
    found.sums[numbers[run] - 1] += sums[run];
    found.maxima[numbers[run] - 1] = std::max(found.maxima[numbers[run] - 1], maxima[run]);
  }
  return found;
}

}  // namespace components_detail

// Writes the labels [...size], 0 for background and 1, 2, ... in the order of the components' first cells.
template <int D, class T>
Components connected_components(const T* values, const ComponentsOptions<D>& options, const Execution& execution,
                                int32_t* labels) {
  namespace detail = components_detail;
  constexpr int64_t kWorthThreads = 1 << 16;  // cells
  constexpr int64_t kWords = 8;               // of two rows that are compared at once
  const int64_t width = options.size[D - 1];
  const int64_t row_length = words_per_row(width);
  int64_t rows = 1;
  for (int d = 0; d + 1 < D; ++d) rows *= options.size[d];
  ThreadTeam team(execution, rows * width >= kWorthThreads);
  const int64_t slab_count = std::min<int64_t>(rows, team.size() == 1 ? 1 : 8 * team.size());
  const auto slab_begin = [&](int64_t slab) { return rows * slab / slab_count; };
  std::vector<RowWord> words(rows * row_length);
  const auto words_of = [&](int64_t row) { return words.data() + row * row_length; };

  std::vector<int32_t> runs_before(slab_count + 1, 0);  // each slab
  team.for_each(slab_count, [&](int64_t s) {
    int32_t runs = 0;
    for (int64_t row = slab_begin(s); row < slab_begin(s + 1); ++row) {
      runs = row_words(values + row * width, width, options.equal, runs, words_of(row));
    }
    runs_before[s + 1] = runs;
  });
  if (execution.stopped()) return {};
  std::partial_sum(runs_before.begin(), runs_before.end(), runs_before.begin());

  detail::Forest forest(runs_before[slab_count]);
  const auto offsets = detail::row_offsets<D>(options.reach);
  // Joins the runs of a row with those of its earlier neighbours among rows [first, last).
  const auto join_row = [&](int64_t row, int64_t first, int64_t last, std::vector<Touch>& touches) {
    touches.resize(kWords * kWordTouches);
    int64_t index[D];
    detail::row_index<D>(row, options.size, index);
    for (const auto& offset : offsets) {
      int64_t other = 0;
      bool exists = true;
      for (int d = 0; d + 1 < D; ++d) {
        const int64_t at = index[d] + offset.step[d];
        exists = exists && at >= 0 && at < options.size[d];
        other = other * options.size[d] + at;
      }
      if (!exists || other < first || other >= last) continue;
      for (int64_t w = 0; w < row_length; w += kWords) {
        const int64_t end = std::min(row_length, w + kWords);
        const int64_t count = touching_runs(words_of(row), words_of(other), w, end, offset.corners, touches.data());
        for (int64_t t = 0; t < count; ++t) {
          const Touch& touch = touches[t];
          if (options.equal && values[row * width + touch.cell_a] != values[other * width + touch.cell_b]) continue;
          forest.join(touch.run_a, touch.run_b);
        }
      }
    }
  };
  team.for_each(slab_count, [&](int64_t s) {
    for (int32_t run = runs_before[s]; run < runs_before[s + 1]; ++run) forest.plant(run + 1);
    std::vector<Touch> touches;
    for (int64_t row = slab_begin(s); row < slab_begin(s + 1); ++row) {
      for (int64_t w = 0; w < row_length; ++w) words_of(row)[w].earlier += runs_before[s];
      join_row(row, slab_begin(s), row, touches);
    }
  });
  if (execution.stopped()) return {};
  // Neighbours in another slab lie at most one step of the first axis, and one row, before the slab's begin.
  const int64_t depth = D == 2 ? 1 : options.size[D - 2] + 1;
  std::vector<Touch> touches;
  for (int64_t s = 1; s < slab_count; ++s) {
    const int64_t end = std::min(slab_begin(s + 1), slab_begin(s) + depth);
    for (int64_t row = slab_begin(s); row < end; ++row) join_row(row, 0, slab_begin(s), touches);
  }
  const int32_t count = forest.number();
  const int32_t* numbers = forest.numbers();

  std::vector<double> sums(options.scores ? runs_before[slab_count] + 1 : 0, 0);
  std::vector<double> maxima(sums.size(), -std::numeric_limits<double>::infinity());
  team.for_each(slab_count, [&](int64_t s) {
    for (int64_t row = slab_begin(s); row < slab_begin(s + 1); ++row) {
      const float* scores = options.scores ? options.scores + row * width : nullptr;
      for (int64_t w = 0; w < row_length; ++w) {
        const int64_t x = w * row_bits::kCells;
        const RowWord& word = words_of(row)[w];
        detail::write_labels(word, numbers, std::min(row_bits::kCells, width - x), labels + row * width + x);
        if (!scores) continue;
        detail::each_stretch(word, w, [&](int32_t run, int32_t begin, int32_t end) {
          for (int32_t cell = begin; cell < end; ++cell) {
            sums[run] += static_cast<double>(scores[cell]);
            if (scores[cell] > maxima[run]) maxima[run] = static_cast<double>(scores[cell]);
          }
        });
      }
    }
  });
  if (execution.stopped()) return {};
  return detail::describe<D>(values, options.size, words, numbers, count, sums, maxima);
}

}  // namespace mdt
