// The bodies of the RoIAlign kernels, for one map of a pyramid at a time. Same sampling as on the CPU: ../roi_align.h.
// Maps and results are channels-last, and an item takes a few channels at once, so that what it finds out about its bin
// serves all of them.
#pragma once

#include "../roi_align.h"
#include "team.h"

namespace mdt::cuda {

constexpr int kLanes = 4;  // channels of an item

// A map and its RoIs; RoIs of other maps are passed over.
template <int D, class Value, class Real>
struct RoiLevel {
  RoiMap<D, Value> map;
  int32_t level;
  int64_t batch;
  int64_t channels;
  Rois<D, Real> rois;
  RoiAlignOptions<D> options;

  MDT_HOST_DEVICE int64_t channel_groups() const { return (channels + kLanes - 1) / kLanes; }

  MDT_HOST_DEVICE int64_t bins() const {
    int64_t bins = 1;
    for (int d = 0; d < D; ++d) bins *= options.pool[d];
    return bins;
  }

  MDT_HOST_DEVICE int64_t cells() const {
    int64_t cells = 1;
    for (int d = 0; d < D; ++d) cells *= map.size[d];
    return cells;
  }

  MDT_STEPS bool reads(int64_t roi) const {
    const int32_t image = image_of(roi);
    return (rois.levels == nullptr ? 0 : rois.levels[roi]) == level && image >= 0 && image < batch;
  }

  MDT_STEPS int32_t image_of(int64_t roi) const { return rois.images == nullptr ? 0 : rois.images[roi]; }

  MDT_STEPS RoiAxis axis(int64_t roi, int d) const {
    const Real* box = rois.boxes + roi * 2 * D;
    return roi_axis(static_cast<double>(box[d]), static_cast<double>(box[D + d]), map.scale[d], map.size[d], options.pool[d],
                    options.sampling, options.ratio, options.aligned);
  }
};

// Indices along each axis of a number that counts with the last axis fastest.
template <int D>
MDT_STEPS void unravel(int64_t number, const int64_t* size, int64_t* index) {
  for (int d = D - 1; d >= 0; --d) {
    index[d] = number % size[d];
    number /= size[d];
  }
}

// Calls visit(cell, weight) for every cell that the samples of a bin read; a cell that several samples read comes again.
template <int D, class Level, class Visit>
MDT_STEPS void each_tap(const Level& level, const RoiAxis* axes, const int64_t* bin, const Visit& visit, int64_t cell = 0,
                        double weight = 1) {
  constexpr int kAxes = sizeof(level.map.size) / sizeof(level.map.size[0]);
  constexpr int d = kAxes - D;  // D axes are left
  const RoiRun run = roi_run(axes[d], bin[d]);
  for (int32_t k = 0; k < run.count; ++k) {
    const RoiSample sample = roi_sample(axes[d], bin[d], run, k);
    for (int side = 0; side < 2; ++side) {
      const double share = side == 0 ? sample.low_weight : sample.high_weight;
      if (share == 0) continue;
      const int64_t next = cell * level.map.size[d] + (side == 0 ? sample.low : sample.high);
      if constexpr (D > 1) {
        each_tap<D - 1>(level, axes, bin, visit, next, weight * share);
      } else {
        visit(next, static_cast<float>(weight * share));
      }
    }
  }
}

// Where an item of (RoI, bin, channel group) stands.
template <int D>
struct BinItem {
  int64_t roi;
  int64_t bin[D];
  int64_t pooled;  // its first value in [rois, ...pool, channels]
  int64_t channel;
  int lanes;
};

template <int D, class Level>
MDT_STEPS BinItem<D> bin_item(const Level& level, int64_t item) {
  BinItem<D> at;
  const int64_t groups = level.channel_groups();
  const int64_t bins = level.bins();
  at.channel = item % groups * kLanes;
  at.lanes = static_cast<int>(level.channels - at.channel < kLanes ? level.channels - at.channel : kLanes);
  at.roi = item / groups / bins;
  unravel<D>(item / groups % bins, level.options.pool, at.bin);
  at.pooled = item / groups * level.channels + at.channel;
  return at;
}

template <int D, class Real>
struct PoolBin {
  RoiLevel<D, const float, Real> level;
  float* out;

  MDT_HOST_DEVICE int64_t items() const { return level.rois.count * level.bins() * level.channel_groups(); }

  MDT_STEPS void operator()(int64_t item) const {
    const BinItem<D> at = bin_item<D>(level, item);
    if (!level.reads(at.roi)) return;
    RoiAxis axes[D];
    for (int d = 0; d < D; ++d) axes[d] = level.axis(at.roi, d);
    const float* values = level.map.values + level.image_of(at.roi) * level.cells() * level.channels + at.channel;
    float sum[kLanes] = {};
    each_tap<D>(level, axes, at.bin, [&](int64_t cell, float weight) {
      const float* in = values + cell * level.channels;
      for (int c = 0; c < kLanes; ++c) {
        if (c < at.lanes) sum[c] += weight * in[c];
      }
    });
    for (int c = 0; c < kLanes; ++c) {
      if (c < at.lanes) out[at.pooled + c] = sum[c];
    }
  }
};

// Adds the terms of a bin to the cells it read, as they come.
template <int D, class Real>
struct ScatterBin {
  RoiLevel<D, float, Real> level;
  const float* dy;

  MDT_HOST_DEVICE int64_t items() const { return level.rois.count * level.bins() * level.channel_groups(); }

  MDT_STEPS void operator()(int64_t item) const {
    const BinItem<D> at = bin_item<D>(level, item);
    if (!level.reads(at.roi)) return;
    RoiAxis axes[D];
    for (int d = 0; d < D; ++d) axes[d] = level.axis(at.roi, d);
    float* values = level.map.values + level.image_of(at.roi) * level.cells() * level.channels + at.channel;
    float terms[kLanes] = {};
    for (int c = 0; c < kLanes; ++c) {
      if (c < at.lanes) terms[c] = dy[at.pooled + c];
    }
    each_tap<D>(level, axes, at.bin, [&](int64_t cell, float weight) {
      for (int c = 0; c < kLanes; ++c) {
        if (c < at.lanes) add(values + cell * level.channels + c, weight * terms[c]);
      }
    });
  }
};

// Cells of one axis that one RoI reads; none: low above high.
struct Reach {
  int64_t low;
  int64_t high;
};

// Item roi * D + axis.
template <int D, class Real>
struct FindReach {
  RoiLevel<D, float, Real> level;
  Reach* reach;

  MDT_HOST_DEVICE int64_t items() const { return level.rois.count * D; }

  MDT_STEPS void operator()(int64_t item) const {
    const int d = static_cast<int>(item % D);
    Reach found{level.map.size[d], -1};
    const auto meet = [&](int64_t cell, double weight) {
      if (weight == 0) return;
      if (cell < found.low) found.low = cell;
      if (cell > found.high) found.high = cell;
    };
    if (level.reads(item / D)) {
      const RoiAxis axis = level.axis(item / D, d);
      for (int64_t bin = 0; bin < level.options.pool[d]; ++bin) {
        const RoiRun run = roi_run(axis, bin);
        for (int32_t k = 0; k < run.count; ++k) {
          const RoiSample sample = roi_sample(axis, bin, run, k);
          meet(sample.low, sample.low_weight);
          meet(sample.high, sample.high_weight);
        }
      }
    }
    reach[item] = found;
  }
};

// Sums what one cell gets, in the order of the RoIs and their bins. Item (image, cell, channel group).
template <int D, class Real>
struct GatherCell {
  RoiLevel<D, float, Real> level;
  const Reach* reach;
  const float* dy;

  MDT_HOST_DEVICE int64_t items() const { return level.batch * level.cells() * level.channel_groups(); }

  MDT_STEPS void operator()(int64_t item) const {
    const int64_t groups = level.channel_groups();
    const int64_t cells = level.cells();
    const int64_t channel = item % groups * kLanes;
    const int lanes = static_cast<int>(level.channels - channel < kLanes ? level.channels - channel : kLanes);
    const int64_t image = item / groups / cells;
    int64_t cell[D];
    unravel<D>(item / groups % cells, level.map.size, cell);
    float sum[kLanes] = {};
    for (int64_t roi = 0; roi < level.rois.count; ++roi) {
      bool meets = true;
      for (int d = 0; d < D && meets; ++d) meets = reach[roi * D + d].low <= cell[d] && cell[d] <= reach[roi * D + d].high;
      if (!meets || level.image_of(roi) != image) continue;
      const float* terms = dy + roi * level.bins() * level.channels + channel;
      each_bin<D>(roi, cell, [&](int64_t bin, float weight) {
        for (int c = 0; c < kLanes; ++c) {
          if (c < lanes) sum[c] += weight * terms[bin * level.channels + c];
        }
      });
    }
    float* out = level.map.values + (item / groups) * level.channels + channel;
    for (int c = 0; c < kLanes; ++c) {
      if (c < lanes) out[c] = sum[c];
    }
  }

 private:
  // Calls visit(bin, weight) for every bin of the RoI that reads the cell; Left axes are left.
  template <int Left, class Visit>
  MDT_STEPS void each_bin(int64_t roi, const int64_t* cell, const Visit& visit, int64_t number = 0, double weight = 1) const {
    constexpr int d = D - Left;
    const RoiAxis axis = level.axis(roi, d);
    for (int64_t bin = 0; bin < level.options.pool[d]; ++bin) {
      const RoiRun run = roi_run(axis, bin);
      double share = 0;
      for (int32_t k = 0; k < run.count; ++k) {
        const RoiSample sample = roi_sample(axis, bin, run, k);
        if (sample.low == cell[d]) share += sample.low_weight;
        if (sample.high == cell[d]) share += sample.high_weight;
      }
      if (share == 0) continue;
      const int64_t next = number * level.options.pool[d] + bin;
      if constexpr (Left > 1) {
        each_bin<Left - 1>(roi, cell, visit, next, weight * share);
      } else {
        visit(next, static_cast<float>(weight * share));
      }
    }
  }
};

}  // namespace mdt::cuda
