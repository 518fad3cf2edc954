// RoIAlign and its gradient over one or several maps. Twin: src/reference/roi-align.ts
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "../parallel.h"
#include "../roi_align.h"
#include "weighted_sum.h"

namespace mdt {

// Which cells each bin of one RoI reads along each axis, and with what weight. All samples of a bin are merged, so a cell
// appears once however many samples fall beside it.
template <int D>
class RoiWeights {
 public:
  struct Entry {
    int64_t cell;
    double weight;
  };

  // Finds the weights of RoI `i`; false when the RoI reads nothing.
  template <class Value, class Real>
  bool place(const Rois<D, Real>& rois, int64_t i, const RoiMap<D, Value>& map, const RoiAlignOptions<D>& options) {
    const Real* box = rois.boxes + i * 2 * D;
    for (int d = 0; d < D; ++d) {
      const RoiAxis axis = roi_axis(static_cast<double>(box[d]), static_cast<double>(box[D + d]), map.scale[d], map.size[d],
                                    options.pool[d], options.sampling, options.ratio, options.aligned);
      entries_[d].clear();
      ends_[d].clear();
      for (int64_t bin = 0; bin < options.pool[d]; ++bin) {
        add_bin(entries_[d], axis, bin);
        ends_[d].push_back(static_cast<int64_t>(entries_[d].size()));
      }
      if (entries_[d].empty()) return false;
    }
    return true;
  }

  const Entry* begin(int axis, int64_t bin) const { return entries_[axis].data() + (bin > 0 ? ends_[axis][bin - 1] : 0); }
  const Entry* end(int axis, int64_t bin) const { return entries_[axis].data() + ends_[axis][bin]; }

  // Whether a bin of the first axis reads cells in [first, last).
  bool meets(int64_t bin, int64_t first, int64_t last) const {
    return std::any_of(begin(0, bin), end(0, bin), [&](const Entry& e) { return e.cell >= first && e.cell < last; });
  }

 private:
  // Samples of a bin go one way, so a cell that was left behind does not come back.
  void add_bin(std::vector<Entry>& entries, const RoiAxis& axis, int64_t bin) {
    const RoiRun run = roi_run(axis, bin);
    const auto first = static_cast<std::ptrdiff_t>(entries.size());
    const auto add = [&](int64_t cell, double weight) {
      if (weight == 0) return;
      for (auto entry = entries.end(); entry != entries.begin() + first && entries.end() - entry < 3;) {
        --entry;
        if (entry->cell != cell) continue;
        entry->weight += weight;
        return;
      }
      entries.push_back({cell, weight});
    };
    for (int32_t k = 0; k < run.count; ++k) {
      const RoiSample sample = roi_sample(axis, bin, run, k);
      add(sample.low, sample.low_weight);
      add(sample.high, sample.high_weight);
    }
  }

  std::vector<Entry> entries_[D];
  std::vector<int64_t> ends_[D];
};

namespace roi_align_detail {

// Calls `visit(bin indices, bin number)` for every bin whose index along the first axis is `slice`, the last axis fastest.
template <int D, class Visit>
void each_bin(const RoiAlignOptions<D>& options, int64_t slice, const Visit& visit) {
  int64_t count = 1;
  for (int d = 1; d < D; ++d) count *= options.pool[d];
  int64_t bin[D] = {slice};
  for (int64_t number = slice * count; number < (slice + 1) * count; ++number) {
    visit(bin, number);
    for (int d = D - 1; d > 0 && ++bin[d] == options.pool[d]; --d) bin[d] = 0;
  }
}

// The cells of one bin as taps: the product of its weights along the axes. Only cells whose index along the first axis lies
// in [first, last).
template <int D, class Value>
void bin_taps(const RoiWeights<D>& weights, const int64_t* bin, const RoiMap<D, Value>& map, int64_t channels, int64_t first,
              int64_t last, std::vector<Tap>& taps) {
  taps.clear();
  const auto descend = [&](const auto& self, int d, int64_t cell, double weight) -> void {
    for (const auto* entry = weights.begin(d, bin[d]); entry != weights.end(d, bin[d]); ++entry) {
      if (d == 0 && (entry->cell < first || entry->cell >= last)) continue;
      const int64_t next = cell * map.size[d] + entry->cell;
      if (d + 1 < D) {
        self(self, d + 1, next, weight * entry->weight);
      } else {
        taps.push_back({next * channels, static_cast<float>(weight * entry->weight)});
      }
    }
  };
  descend(descend, 0, 0, 1.0);
}

template <int D, class Value>
int64_t image_values(const RoiMap<D, Value>& map, int64_t channels) {
  int64_t values = channels;
  for (int d = 0; d < D; ++d) values *= map.size[d];
  return values;
}

template <int D>
int64_t bin_count(const RoiAlignOptions<D>& options) {
  int64_t bins = 1;
  for (int d = 0; d < D; ++d) bins *= options.pool[d];
  return bins;
}

}  // namespace roi_align_detail

// out [rois.count, ...pool, channels]. A RoI whose image or level does not exist, or whose box is not finite, gives zeros.
template <int D, class Real>
void roi_align(const RoiMap<D, const float>* maps, int32_t map_count, int64_t batch, int64_t channels,
               const Rois<D, Real>& rois, const RoiAlignOptions<D>& options, const Execution& execution, float* out) {
  namespace detail = roi_align_detail;
  constexpr int64_t kWorthThreads = 1 << 15;  // output values
  constexpr int64_t kRois = 4;                // handed to a thread at once
  const int64_t values = detail::bin_count(options) * channels;
  ThreadTeam team(execution, rois.count * values >= kWorthThreads);
  team.for_ranges(rois.count, kRois, [&](int64_t begin, int64_t end) {
    RoiWeights<D> weights;
    std::vector<Tap> taps;
    for (int64_t i = begin; i < end; ++i) {
      float* pooled = out + i * values;
      const int32_t image = rois.images ? rois.images[i] : 0;
      const int32_t level = rois.levels ? rois.levels[i] : 0;
      const bool exists = image >= 0 && image < batch && level >= 0 && level < map_count;
      if (!exists || !weights.place(rois, i, maps[level], options)) {
        std::fill_n(pooled, values, 0.0f);
        continue;
      }
      const RoiMap<D, const float>& map = maps[level];
      const float* base = map.values + image * detail::image_values(map, channels);
      for (int64_t slice = 0; slice < options.pool[0]; ++slice) {
        detail::each_bin(options, slice, [&](const int64_t* bin, int64_t number) {
          detail::bin_taps(weights, bin, map, channels, 0, map.size[0], taps);
          weighted_sum(base, taps.data(), static_cast<int64_t>(taps.size()), channels, pooled + number * channels);
        });
      }
    }
  });
}

// The gradient with respect to the maps, which it overwrites; `dy` [rois.count, ...pool, channels]. The sum in each cell is
// taken in the order of the RoIs, so the result does not depend on the number of threads.
template <int D, class Real>
void roi_align_grad(const float* dy, const RoiMap<D, float>* maps, int32_t map_count, int64_t batch, int64_t channels,
                    const Rois<D, Real>& rois, const RoiAlignOptions<D>& options, const Execution& execution) {
  namespace detail = roi_align_detail;
  constexpr int64_t kWorthThreads = 1 << 15;
  const int64_t values = detail::bin_count(options) * channels;

  // Weights once for all slabs, and the RoIs sorted by the image they read.
  std::vector<RoiWeights<D>> weights(rois.count);
  std::vector<uint8_t> reads(rois.count, 0);
  const auto image_of = [&](int64_t i) -> int64_t { return rois.images ? rois.images[i] : 0; };
  const auto level_of = [&](int64_t i) -> int64_t { return rois.levels ? rois.levels[i] : 0; };
  ThreadTeam team(execution, rois.count * values >= kWorthThreads);
  team.for_ranges(rois.count, 16, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const bool exists = image_of(i) >= 0 && image_of(i) < batch && level_of(i) >= 0 && level_of(i) < map_count;
      reads[i] = exists && weights[i].place(rois, i, maps[level_of(i)], options);
    }
  });
  std::vector<int64_t> order;
  for (int64_t i = 0; i < rois.count; ++i) {
    if (reads[i]) order.push_back(i);
  }
  const auto key = [&](int64_t i) { return std::make_pair(level_of(i), image_of(i)); };
  std::stable_sort(order.begin(), order.end(), [&](int64_t i, int64_t j) { return key(i) < key(j); });
  std::vector<std::size_t> starts;  // of the RoIs of each image that is read
  for (std::size_t k = 0; k < order.size(); ++k) {
    if (k == 0 || key(order[k]) != key(order[k - 1])) starts.push_back(k);
  }

  for (int32_t level = 0; level < map_count; ++level) {
    float* gradients = maps[level].values;
    team.for_ranges(batch * detail::image_values(maps[level], channels), 1 << 16,
                    [&](int64_t begin, int64_t end) { std::fill(gradients + begin, gradients + end, 0.0f); });
  }
  // Parts of an image, cut across the first axis; each belongs to one thread at a time.
  const int64_t slabs = team.size() == 1 ? 1 : 8 * team.size();
  team.for_each(static_cast<int64_t>(starts.size()) * slabs, [&](int64_t task) {
    const std::size_t group = static_cast<std::size_t>(task / slabs);
    const std::size_t group_end = group + 1 < starts.size() ? starts[group + 1] : order.size();
    const int64_t member = order[starts[group]];
    const RoiMap<D, float>& map = maps[level_of(member)];
    const int64_t first = map.size[0] * (task % slabs) / slabs;
    const int64_t last = map.size[0] * (task % slabs + 1) / slabs;
    float* base = map.values + image_of(member) * detail::image_values(map, channels);
    std::vector<Tap> taps;
    for (std::size_t k = starts[group]; k < group_end; ++k) {
      const int64_t i = order[k];
      for (int64_t slice = 0; slice < options.pool[0]; ++slice) {
        if (!weights[i].meets(slice, first, last)) continue;
        detail::each_bin(options, slice, [&](const int64_t* bin, int64_t number) {
          detail::bin_taps(weights[i], bin, map, channels, first, last, taps);
          scatter_sum(base, taps.data(), static_cast<int64_t>(taps.size()), channels, dy + i * values + number * channels);
        });
      }
    }
  });
}

}  // namespace mdt
