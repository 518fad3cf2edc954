// Resampling of images and volumes.
#include "../cpu/resample.h"

#include <string>

#include "checks.h"
#include "results.h"
#include "subjects.h"
#include "worker.h"

namespace mdt {
namespace {

// resample(values: any typed array, size: Int32Array [dim], channels, outputSize: Int32Array [dim],
//          affine: Float64Array [dim, dim + 1], displacement: Float32Array | null, step, coordinates: Float32Array | null, dim,
//          order, mode, fill, threads, stop): the same kind of typed array, [...outputSize, channels]
struct ResampleJob {
  static constexpr const char* op = "resample";
  Execution execution;
  AnyValues values;
  Values<int32_t> size;
  int64_t channels = 0;
  Values<int32_t> out_size;
  Values<double> affine;
  Values<float> displacement;
  int64_t step = 1;
  Values<float> coordinates;
  bool displaced = false;
  bool placed = false;
  int dim = 0;
  Interpolation interpolation{};
  Boundary boundary{};
  double fill = 0;
  void* out = nullptr;

  explicit ResampleJob(Arguments& args) {
    values = args.any_values("values");
    size = args.values<int32_t>("size");
    channels = args.integer("channels", 1, std::numeric_limits<int32_t>::max());
    out_size = args.values<int32_t>("outputSize");
    affine = args.values<double>("affine");
    displaced = args.has_value();
    displacement = args.optional_values<float>("displacement");
    step = args.integer("displacementStep", 1, std::numeric_limits<int32_t>::max());
    placed = args.has_value();
    coordinates = args.optional_values<float>("coordinates");
    dim = args.integer("dim", 2, 3);
    interpolation = static_cast<Interpolation>(args.integer("order", 0, 2));
    boundary = static_cast<Boundary>(args.integer("mode", 0, 5));
    fill = args.number("fill", -std::numeric_limits<double>::infinity(), std::numeric_limits<double>::infinity());
    execution = args.execution();
    const double cells = product_of_sizes(args, "size", size, dim);
    expect_length(op, "values", values.size, cells * static_cast<double>(channels), "size and channels");
    expect_length(op, "affine", affine.size(), dim * (dim + 1), "dim rows of dim + 1");
    if (displaced) expect_length(op, "displacement", displacement.size(), vectors(args) * dim, "outputSize, step and axes");
    if (placed) expect_length(op, "coordinates", coordinates.size(), out_cells(args) * dim, "outputSize and axes");
    out_values = out_cells(args) * static_cast<double>(channels);
  }

  napi_value allocate(napi_env env) {
    const NewArray<void> array = new_array_of(env, op, values.type, out_values);
    out = array.data;
    return array.value;
  }

  void run() const {
    with_kind(values.type, [&](auto kind) { dim == 2 ? read<2, decltype(kind)>() : read<3, decltype(kind)>(); });
  }

  template <int D, class T>
  void read() const {
    ResampleSource<D, T> source{values.data<T>(), {}, channels};
    Positions<D> positions{};
    int64_t to[D];
    for (int d = 0; d < D; ++d) {
      source.size[d] = size[d];
      to[d] = out_size[d];
      for (int e = 0; e <= D; ++e) positions.affine[d][e] = affine[d * (D + 1) + e];
    }
    positions.displacement = displaced ? displacement.data() : nullptr;
    positions.step = step;
    positions.coordinates = placed ? coordinates.data() : nullptr;
    resample<D, T>(source, positions, to, interpolation, boundary, fill, execution, static_cast<T*>(out));
  }

  napi_value result(napi_env, napi_value allocated) const { return allocated; }

 private:
  double vectors(const Arguments& args) const {
    out_cells(args);  // checks the sizes
    double count = 1;
    for (int d = 0; d < dim; ++d) count *= static_cast<double>(vectors_along(out_size[d], step));
    return count;
  }

  double out_cells(const Arguments& args) const { return product_of_sizes(args, "outputSize", out_size, dim); }

  double out_values = 0;
};

}  // namespace

void expose_resample(napi_env env, napi_value exports) { expose<ResampleJob>(env, exports); }

}  // namespace mdt
