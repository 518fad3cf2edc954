// Connected components of images and volumes. Twin: src/reference/components.ts
//
// A row of cells is cut into runs; runs of neighbouring rows that touch are joined in a forest (Wu, Otoo and Suzuki 2009 on
// cells). Slabs of rows are worked on side by side and their seams joined afterwards.
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <vector>

#include "../parallel.h"

namespace mdt {

struct Component {
  int64_t min[3];  // half-open box
  int64_t max[3];
  int64_t cells;
  double value;  // of its first cell
  double sum;    // of the scores
  double max_score;
};

template <int D>
struct ComponentsOptions {
  int64_t size[D];
  int reach;         // neighbours differ along at most so many axes, by 1 each
  bool equal;        // neighbours belong together when their values are equal; else when both are not 0
  const float* scores;  // [...size] or null
};

namespace components_detail {

struct Run {
  int64_t row;
  int32_t begin;  // cells along the last axis
  int32_t end;
};

// Runs of one slab of rows, and where each row's runs begin.
struct Slab {
  std::vector<Run> runs;
  std::vector<int64_t> row_starts;
  int64_t first_id = 0;
};

// A forest over runs in which the root is always the run that comes first.
class Forest {
 public:
  void resize(int64_t count) { parents_.resize(count); }
  void plant(int64_t id) { parents_[id] = id; }

  int64_t root(int64_t id) {
    while (parents_[id] != id) {
      parents_[id] = parents_[parents_[id]];
      id = parents_[id];
    }
    return id;
  }

  void join(int64_t a, int64_t b) {
    a = root(a);
    b = root(b);
    if (a != b) parents_[std::max(a, b)] = std::min(a, b);
  }

  int64_t parent(int64_t id) const { return parents_[id]; }

 private:
  std::vector<int64_t> parents_;
};

// A neighbouring row that comes earlier, and how far its runs may lie to the side.
template <int D>
struct RowOffset {
  int64_t step[D];
  int64_t side;
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
    offset.side = axes < reach ? 1 : 0;
    offsets.push_back(offset);
  }
  return offsets;
}

}  // namespace components_detail

// Writes the labels [...size], 0 for background and 1, 2, ... in the order of the components' first cells.
template <int D, class T>
std::vector<Component> connected_components(const T* values, const ComponentsOptions<D>& options, const Execution& execution,
                                            int32_t* labels) {
  namespace detail = components_detail;
  constexpr int64_t kWorthThreads = 1 << 16;  // cells
  const int64_t width = options.size[D - 1];
  int64_t rows = 1;
  for (int d = 0; d + 1 < D; ++d) rows *= options.size[d];
  ThreadTeam team(execution, rows * width >= kWorthThreads);
  const int64_t slab_count = std::min<int64_t>(rows, team.size() == 1 ? 1 : 8 * team.size());
  const auto slab_begin = [&](int64_t slab) { return rows * slab / slab_count; };
  const auto slab_of = [&](int64_t row) {
    int64_t slab = row * slab_count / rows;
    while (slab + 1 < slab_count && slab_begin(slab + 1) <= row) ++slab;
    return slab;
  };
  std::vector<detail::Slab> slabs(slab_count);

  team.for_each(slab_count, [&](int64_t s) {
    detail::Slab& slab = slabs[s];
    for (int64_t row = slab_begin(s); row < slab_begin(s + 1); ++row) {
      slab.row_starts.push_back(static_cast<int64_t>(slab.runs.size()));
      const T* cells = values + row * width;
      for (int64_t x = 0; x < width;) {
        if (cells[x] == T(0)) {
          ++x;
          continue;
        }
        const int64_t begin = x;
        const T value = cells[x];
        for (++x; x < width && (options.equal ? cells[x] == value : cells[x] != T(0)); ++x) {
        }
        slab.runs.push_back({row, static_cast<int32_t>(begin), static_cast<int32_t>(x)});
      }
    }
    slab.row_starts.push_back(static_cast<int64_t>(slab.runs.size()));
  });
  if (execution.stopped()) return {};

  int64_t run_count = 0;
  for (detail::Slab& slab : slabs) {
    slab.first_id = run_count;
    run_count += static_cast<int64_t>(slab.runs.size());
  }
  detail::Forest forest;
  forest.resize(run_count);
  const auto offsets = detail::row_offsets<D>(options.reach);

  // Joins the runs of a row with those of its earlier neighbours that `wanted(slab)` names.
  const auto join_row = [&](int64_t row, int64_t s, const auto& wanted) {
    int64_t index[D];
    int64_t rest = row;
    for (int d = D - 2; d >= 0; --d) {
      index[d] = rest % options.size[d];
      rest /= options.size[d];
    }
    for (const auto& offset : offsets) {
      int64_t other_row = 0;
      bool exists = true;
      for (int d = 0; d + 1 < D; ++d) {
        const int64_t at = index[d] + offset.step[d];
        exists = exists && at >= 0 && at < options.size[d];
        other_row = other_row * options.size[d] + at;
      }
      if (!exists) continue;
      const int64_t other_slab = other_row >= slab_begin(s) ? s : slab_of(other_row);
      if (!wanted(other_slab)) continue;
      const detail::Slab& mine = slabs[s];
      const detail::Slab& theirs = slabs[other_slab];
      int64_t i = mine.row_starts[row - slab_begin(s)];
      int64_t j = theirs.row_starts[other_row - slab_begin(other_slab)];
      const int64_t i_end = mine.row_starts[row - slab_begin(s) + 1];
      const int64_t j_end = theirs.row_starts[other_row - slab_begin(other_slab) + 1];
      const auto join = [&](int64_t k, int64_t l) {
        if (k >= i_end || l >= j_end) return;
        const detail::Run& a = mine.runs[k];
        const detail::Run& b = theirs.runs[l];
        if (a.begin >= b.end + offset.side || b.begin >= a.end + offset.side) return;
        if (options.equal && values[a.row * width + a.begin] != values[b.row * width + b.begin]) return;
        forest.join(mine.first_id + k, theirs.first_id + l);
      };
      while (i < i_end && j < j_end) {
        join(i, j);
        // The run that ends first is done with; where both end, each may still touch the other's successor by a corner.
        const int32_t a_end = mine.runs[i].end;
        const int32_t b_end = theirs.runs[j].end;
        if (a_end == b_end) {
          join(i + 1, j);
          join(i, j + 1);
        }
        if (a_end <= b_end) ++i;
        if (b_end <= a_end) ++j;
      }
    }
  };
  team.for_each(slab_count, [&](int64_t s) {
    for (std::size_t i = 0; i < slabs[s].runs.size(); ++i) forest.plant(slabs[s].first_id + static_cast<int64_t>(i));
    for (int64_t row = slab_begin(s); row < slab_begin(s + 1); ++row) join_row(row, s, [&](int64_t t) { return t == s; });
  });
  if (execution.stopped()) return {};
  // Neighbours in another slab lie at most one step of the first axis, and one row, before the slab's begin.
  const int64_t depth = D == 2 ? 1 : options.size[D - 2] + 1;
  for (int64_t s = 1; s < slab_count; ++s) {
    const int64_t end = std::min(slab_begin(s + 1), slab_begin(s) + depth);
    for (int64_t row = slab_begin(s); row < end; ++row) join_row(row, s, [&](int64_t t) { return t != s; });
  }

  // Roots come before all their runs, so one walk numbers them.
  std::vector<int32_t> numbers(run_count);
  int32_t count = 0;
  for (int64_t id = 0; id < run_count; ++id) {
    numbers[id] = forest.parent(id) == id ? count++ : numbers[forest.root(id)];
  }

  std::vector<double> sums(options.scores ? run_count : 0);
  std::vector<double> maxima(options.scores ? run_count : 0);
  team.for_each(slab_count, [&](int64_t s) {
    std::fill(labels + slab_begin(s) * width, labels + slab_begin(s + 1) * width, 0);
    int64_t id = slabs[s].first_id;
    for (const detail::Run& run : slabs[s].runs) {
      std::fill(labels + run.row * width + run.begin, labels + run.row * width + run.end, numbers[id] + 1);
      if (options.scores) {
        double sum = 0;
        double max = -std::numeric_limits<double>::infinity();
        for (int64_t x = run.begin; x < run.end; ++x) {
          const double score = options.scores[run.row * width + x];
          sum += score;
          if (score > max) max = score;
        }
        sums[id] = sum;
        maxima[id] = max;
      }
      ++id;
    }
  });
  if (execution.stopped()) return {};

  std::vector<Component> components(count);
  for (Component& component : components) component.cells = 0;
  int64_t id = 0;
  for (const detail::Slab& slab : slabs) {
    for (const detail::Run& run : slab.runs) {
      Component& component = components[numbers[id]];
      int64_t begin[D];
      int64_t rest = run.row;
      for (int d = D - 2; d >= 0; --d) {
        begin[d] = rest % options.size[d];
        rest /= options.size[d];
      }
      begin[D - 1] = run.begin;
      const bool first = component.cells == 0;
      if (first) component.value = static_cast<double>(values[run.row * width + run.begin]);
      if (first) component.sum = 0;
      if (first) component.max_score = -std::numeric_limits<double>::infinity();
      for (int d = 0; d < D; ++d) {
        const int64_t end = d == D - 1 ? run.end : begin[d] + 1;
        component.min[d] = first ? begin[d] : std::min(component.min[d], begin[d]);
        component.max[d] = first ? end : std::max(component.max[d], end);
      }
      component.cells += run.end - run.begin;
      if (options.scores) {
        component.sum += sums[id];
        component.max_score = std::max(component.max_score, maxima[id]);
      }
      ++id;
    }
  }
  return components;
}

}  // namespace mdt
