// GIoU and DIoU matrices.
#include <string>
#include <vector>

#include "backend.h"
#include "checks.h"
#include "results.h"
#include "subjects.h"
#include "worker.h"

namespace mdt {
namespace {

// boxPairs(a, b, dim, inclusive, measure: 0 GIoU, 1 DIoU, threads, stop): Float64Array of [a, b]
struct BoxPairsJob {
  static constexpr const char* op = "boxPairs";
  Execution execution;
  std::vector<double> a;
  std::vector<double> b;
  int dim = 0;
  double plus = 0;
  PairMeasure measure{};
  double* out = nullptr;

  explicit BoxPairsJob(Arguments& args) {
    a = args.reals("a");
    b = args.reals("b");
    dim = args.integer("dim", 2, 3);
    plus = args.boolean("inclusive") ? 1 : 0;
    measure = static_cast<PairMeasure>(args.integer("measure", 0, 1));
    execution = args.execution();
  }

  napi_value allocate(napi_env env) {
    const auto rows = static_cast<double>(box_count(op, "a", a.size(), dim));
    const auto columns = static_cast<double>(box_count(op, "b", b.size(), dim));
    const NewArray<double> matrix = new_array<double>(env, op, rows * columns);
    out = matrix.data;
    return matrix.value;
  }

  void run() const {
    dim == 2 ? backend::box_pairs<2>(a, b, plus, measure, execution, out)
             : backend::box_pairs<3>(a, b, plus, measure, execution, out);
  }

  napi_value result(napi_env, napi_value allocated) const { return allocated; }
};

}  // namespace

void expose_box_pairs(napi_env env, napi_value exports) { expose<BoxPairsJob>(env, exports); }

}  // namespace mdt
