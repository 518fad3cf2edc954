// What RoIAlign reads where: the one sampling arithmetic of the CPU and the CUDA op. Twin: src/reference/roi-align.ts
//
// Linear interpolation and the average over samples are both products of one factor per axis, so everything here is about
// one axis: `roi_axis` places a box on it, `roi_run` says which samples of a bin can lie on the map, `roi_sample` gives the
// two cells of one sample with their weights.
#pragma once

#include <cmath>
#include <cstdint>

#include "host_device.h"

namespace mdt {

enum class RoiSampling : int32_t {
  // One sample in the middle of each bin, half-pixel cell centres, borders replicated (the original toolkit).
  kSingle,
  // The mean of `ratio` samples per axis and bin; samples more than one cell outside the map count as 0 (torchvision).
  kAverage,
};

template <int D>
struct RoiAlignOptions {
  int64_t pool[D];  // bins per axis
  RoiSampling sampling;
  int32_t ratio;  // kAverage: samples per axis and bin; 0: as many as a bin has cells, rounded up
  bool aligned;   // kAverage: cell centres at 1/2; else at 0, and boxes measure at least one cell
};

// One level of a pyramid: [batch, ...size, channels], contiguous. `Value` is float, const for reading.
template <int D, class Value>
struct RoiMap {
  Value* values;
  int64_t size[D];
  double scale[D];  // cells per unit of the boxes
};

// `Real` is float or double.
template <int D, class Real>
struct Rois {
  const Real* boxes;      // [count, 2 * D]: min..., max...
  const int32_t* images;  // [count], or null: all on image 0
  const int32_t* levels;  // [count], or null: all on map 0
  int64_t count;
};

struct RoiAxis {
  double start;    // where the first bin begins, in cells
  double bin;      // cells per bin
  double samples;  // per bin
  int64_t cells;
  bool clamps;  // replicates the border
};

MDT_HOST_DEVICE inline RoiAxis roi_axis(double low, double high, double scale, int64_t cells, int64_t bins,
                                        RoiSampling sampling, int32_t ratio, bool aligned) {
  RoiAxis axis;
  axis.cells = cells;
  axis.clamps = sampling == RoiSampling::kSingle;
  if (axis.clamps) {
    // A single bin is read without the half-pixel shift: the original does so, and trained weights know it.
    axis.start = low * scale - (bins > 1 ? 0.5 : 0.0);
    axis.bin = (high - low) * scale / static_cast<double>(bins);
    axis.samples = 1;
  } else {
    axis.start = low * scale - (aligned ? 0.5 : 0.0);
    double size = (high - low) * scale;
    if (!aligned && !(size > 1)) size = 1;
    axis.bin = size / static_cast<double>(bins);
    axis.samples = ratio > 0 ? ratio : ceil(axis.bin);
  }
  // A box that is not finite, or not once it is scaled, reads nothing.
  const double end = axis.start + axis.bin * static_cast<double>(bins);
  if (!(end - end == 0) || !(axis.start - axis.start == 0) || !(axis.samples > 0)) axis.samples = 0;
  return axis;
}

// Samples first, first + 1, ... of a bin that can lie on the map. A bin of a huge box has more samples than can be counted
// through, but no more than `count` of them are near the map.
struct RoiRun {
  double first;
  int32_t count;
};

MDT_HOST_DEVICE inline RoiRun roi_run(const RoiAxis& axis, int64_t bin) {
  constexpr double kCountable = 1024;
  if (axis.samples <= kCountable) return {0, static_cast<int32_t>(axis.samples)};
  const double step = axis.bin / axis.samples;  // above 1/2 here: so many samples are only taken of as many cells
  const double from = axis.start + static_cast<double>(bin) * axis.bin;
  double first = floor((-1 - from) / step) - 2;
  double last = ceil((static_cast<double>(axis.cells) - from) / step) + 2;
  if (!(first > 0)) first = 0;
  if (!(last < axis.samples)) last = axis.samples;
  double most = 2.0 * static_cast<double>(axis.cells) + 16;
  if (most > 2147483647.0) most = 2147483647.0;
  const double count = last - first < most ? last - first : most;
  return {first, count > 0 ? static_cast<int32_t>(count) : 0};
}

struct RoiSample {
  int64_t low;         // the two cells; both are on the map
  int64_t high;        // low or low + 1
  double low_weight;   // both are 0 for a sample off the map
  double high_weight;
};

// Sample `first + k` of a bin.
MDT_HOST_DEVICE inline RoiSample roi_sample(const RoiAxis& axis, int64_t bin, const RoiRun& run, int32_t k) {
  const double last = static_cast<double>(axis.cells - 1);
  double t = axis.start + static_cast<double>(bin) * axis.bin + (run.first + k + 0.5) * (axis.bin / axis.samples);
  if (!axis.clamps && !(t >= -1 && t <= static_cast<double>(axis.cells))) return {0, 0, 0, 0};
  if (!(t < last)) t = last;
  if (!(t > 0)) t = 0;
  const int64_t low = static_cast<int64_t>(t);
  const double share = t - static_cast<double>(low);
  return {low, share > 0 ? low + 1 : low, (1 - share) / axis.samples, share / axis.samples};
}

}  // namespace mdt
