// Connected components.
#include "../cpu/components.h"

#include <string>
#include <vector>

#include "checks.h"
#include "results.h"
#include "subjects.h"
#include "worker.h"

namespace mdt {
namespace {

// components(values: any typed array, size: Int32Array [dim], dim, reach, equal, scores: Float32Array | null, threads, stop):
// [labels Int32Array [...size], boxes Int32Array [n, 2 * dim], cells Float64Array [n], values Float64Array [n],
//  sums Float64Array [n], maxima Float64Array [n]], the last two empty without scores
struct ComponentsJob {
  static constexpr const char* op = "components";
  Execution execution;
  AnyValues values;
  Values<int32_t> size;
  int dim = 0;
  int reach = 0;
  bool equal = false;
  Values<float> scores;
  bool scored = false;
  double cells = 0;
  int32_t* labels = nullptr;
  Components found;

  explicit ComponentsJob(Arguments& args) {
    values = args.any_values("values");
    size = args.values<int32_t>("size");
    dim = args.integer("dim", 2, 3);
    reach = args.integer("reach", 1, dim);
    equal = args.boolean("equal");
    scored = args.has_value();
    scores = args.optional_values<float>("scores");
    execution = args.execution();
    cells = product_of_sizes(args, "size", size, dim);
    expect_length(op, "values", values.size, cells, "one per cell");
    if (scored) expect_length(op, "scores", scores.size(), cells, "one per cell");
    if (cells > std::numeric_limits<int32_t>::max()) throw args.range_error("size", "too large", "fewer than 2^31 cells");
  }

  napi_value allocate(napi_env env) {
    const NewArray<int32_t> array = new_array<int32_t>(env, op, cells);
    labels = array.data;
    return array.value;
  }

  void run() {
    with_kind(values.type, [&](auto kind) { dim == 2 ? find<2, decltype(kind)>() : find<3, decltype(kind)>(); });
  }

  template <int D, class T>
  void find() {
    ComponentsOptions<D> options{{}, reach, equal, scored ? scores.data() : nullptr};
    for (int d = 0; d < D; ++d) options.size[d] = size[d];
    found = connected_components<D, T>(values.data<T>(), options, execution, labels);
  }

  napi_value result(napi_env env, napi_value allocated) const {
    return to_list(env, op,
                   {allocated, to_array(env, op, found.boxes), to_array(env, op, found.cells), to_array(env, op, found.values),
                    to_array(env, op, found.sums), to_array(env, op, found.maxima)});
  }
};

}  // namespace

void expose_components(napi_env env, napi_value exports) { expose<ComponentsJob>(env, exports); }

}  // namespace mdt
