// RoIAlign and its gradient.
#include <string>
#include <vector>

#include "backend.h"
#include "checks.h"
#include "results.h"
#include "subjects.h"
#include "worker.h"

namespace mdt {
namespace {

constexpr uint32_t kMaxMaps = 64;

// What both directions take, after their first argument:
// sizes: Int32Array [maps, dim], scales: Float64Array [maps, dim], batch, channels, boxes, images: Int32Array | null,
// levels: Int32Array | null, dim, pool: Int32Array [dim], single, ratio, aligned, threads, stop
struct RoiAlignTask {
  Execution execution;
  Values<int32_t> sizes;
  Values<double> scales;
  int64_t batch = 0;
  int64_t channels = 0;
  std::vector<double> boxes;
  Values<int32_t> images;
  Values<int32_t> levels;
  int dim = 0;
  Values<int32_t> pool;
  bool single = false;
  int32_t ratio = 0;
  bool aligned = false;
  int64_t count = 0;

  void take(Arguments& args) {
    sizes = args.values<int32_t>("sizes");
    scales = args.values<double>("scales");
    batch = args.integer("batch", 0, std::numeric_limits<int32_t>::max());
    channels = args.integer("channels", 1, std::numeric_limits<int32_t>::max());
    boxes = args.reals("boxes");
    const bool has_images = args.has_value();
    images = args.optional_values<int32_t>("images");
    const bool has_levels = args.has_value();
    levels = args.optional_values<int32_t>("levels");
    dim = args.integer("dim", 2, 3);
    pool = args.values<int32_t>("pool");
    single = args.boolean("single");
    ratio = args.integer("ratio", 0, 1024);
    aligned = args.boolean("aligned");
    execution = args.execution();
    count = box_count(args.op(), "boxes", boxes.size(), dim);
    if (has_images) expect_length(args.op(), "images", images.size(), static_cast<double>(count), "one per box");
    if (has_levels) expect_length(args.op(), "levels", levels.size(), static_cast<double>(count), "one per box");
    expect_length(args.op(), "pool", pool.size(), dim, "one per axis");
    for (int d = 0; d < dim; ++d) expect_positive(args, "pool", pool[d]);
    if (sizes.size() == 0 || sizes.size() > kMaxMaps * dim) {
      throw args.range_error("sizes", std::to_string(sizes.size()) + " values", "1 to 64 maps");
    }
    expect_length(args.op(), "sizes", sizes.size(), static_cast<double>(maps() * dim), "one per map and axis");
    expect_length(args.op(), "scales", scales.size(), static_cast<double>(maps() * dim), "one per map and axis");
    for (std::size_t i = 0; i < sizes.size(); ++i) expect_positive(args, "sizes", sizes[i]);
    // Products of sizes must be countable even where there are no boxes and no images.
    if (pooled_values() > kMaxCells || product(pool.data()) > kMaxCells) {
      throw args.range_error("pool", "too large", "a smaller result");
    }
    for (int64_t m = 0; m < maps(); ++m) {
      if (product(sizes.data() + m * dim) > kMaxCells) throw args.range_error("sizes", "too large", "smaller maps");
    }
  }

  int64_t maps() const { return static_cast<int64_t>(sizes.size()) / dim; }

  double pooled_values() const { return static_cast<double>(count) * product(pool.data()); }

  // Of all images of one map.
  double map_values(int64_t map) const { return static_cast<double>(batch) * product(sizes.data() + map * dim); }

  template <int D, class Value>
  std::vector<RoiMap<D, Value>> roi_maps(const std::vector<Value*>& data) const {
    std::vector<RoiMap<D, Value>> maps;
    for (std::size_t m = 0; m < data.size(); ++m) {
      RoiMap<D, Value> map{};
      map.values = data[m];
      for (int d = 0; d < D; ++d) {
        map.size[d] = sizes[m * D + d];
        map.scale[d] = scales[m * D + d];
      }
      maps.push_back(map);
    }
    return maps;
  }

  template <int D>
  Rois<D, double> rois() const {
    return {boxes.data(), images.size() > 0 ? images.data() : nullptr, levels.size() > 0 ? levels.data() : nullptr, count};
  }

  template <int D>
  RoiAlignOptions<D> options() const {
    RoiAlignOptions<D> options{};
    for (int d = 0; d < D; ++d) options.pool[d] = pool[d];
    options.sampling = single ? RoiSampling::kSingle : RoiSampling::kAverage;
    options.ratio = ratio;
    options.aligned = aligned;
    return options;
  }

 private:
  // Of the channels and one size per axis.
  double product(const int32_t* size) const {
    double values = static_cast<double>(channels);
    for (int d = 0; d < dim; ++d) values *= size[d];
    return values;
  }

  static void expect_positive(const Arguments& args, const char* name, int32_t value) {
    if (value < 1) throw args.range_error(name, std::to_string(value), "1 or more");
  }
};

// roiAlign(maps: Float32Array[], ...RoiAlignTask): Float32Array of [boxes, ...pool, channels]
struct RoiAlignJob : RoiAlignTask {
  static constexpr const char* op = "roiAlign";
  std::vector<Values<float>> values;
  float* out = nullptr;

  explicit RoiAlignJob(Arguments& args) {
    values = args.value_list<float>("maps", kMaxMaps);
    take(args);
    if (static_cast<int64_t>(values.size()) != maps()) {
      throw args.range_error("maps", std::to_string(values.size()) + " parts", std::to_string(maps()));
    }
    for (std::size_t m = 0; m < values.size(); ++m) {
      expect_length(op, "maps", values[m].size(), map_values(m), "batch, size and channels");
    }
  }

  napi_value allocate(napi_env env) {
    const NewArray<float> array = new_array<float>(env, op, pooled_values());
    out = array.data;
    return array.value;
  }

  void run() const { dim == 2 ? align<2>() : align<3>(); }

  template <int D>
  void align() const {
    std::vector<const float*> data;
    for (const auto& map : values) data.push_back(map.data());
    const auto maps = roi_maps<D, const float>(data);
    backend::roi_align(maps.data(), static_cast<int32_t>(maps.size()), batch, channels, rois<D>(), options<D>(), execution, out);
  }

  napi_value result(napi_env, napi_value allocated) const { return allocated; }
};

// roiAlignGrad(dy: Float32Array, ...RoiAlignTask): Float32Array[], one per map, of [batch, ...size, channels]
struct RoiAlignGradJob : RoiAlignTask {
  static constexpr const char* op = "roiAlignGrad";
  Values<float> dy;
  std::vector<float*> out;

  explicit RoiAlignGradJob(Arguments& args) {
    dy = args.values<float>("dy");
    take(args);
    expect_length(op, "dy", dy.size(), pooled_values(), "boxes, pool and channels");
  }

  napi_value allocate(napi_env env) {
    napi_value list = nullptr;
    check(napi_create_array_with_length(env, maps(), &list), op, "make the result");
    for (int64_t m = 0; m < maps(); ++m) {
      const NewArray<float> array = new_array<float>(env, op, map_values(m));
      out.push_back(array.data);
      check(napi_set_element(env, list, static_cast<uint32_t>(m), array.value), op, "make the result");
    }
    return list;
  }

  void run() const { dim == 2 ? scatter<2>() : scatter<3>(); }

  template <int D>
  void scatter() const {
    const auto maps = roi_maps<D, float>(out);
    backend::roi_align_grad(dy.data(), maps.data(), static_cast<int32_t>(maps.size()), batch, channels, rois<D>(), options<D>(), execution);
  }

  napi_value result(napi_env, napi_value allocated) const { return allocated; }
};

}  // namespace

void expose_roi_align(napi_env env, napi_value exports) {
  expose<RoiAlignJob>(env, exports);
  expose<RoiAlignGradJob>(env, exports);
}

}  // namespace mdt
