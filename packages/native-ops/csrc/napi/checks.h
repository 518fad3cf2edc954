// Checks of arguments against each other.
#pragma once

#include <cstdint>
#include <limits>
#include <string>

#include "arguments.h"

namespace mdt {

// Number of boxes in `values` flat coordinates.
inline int64_t box_count(const char* op, const char* name, std::size_t values, int dim) {
  if (values % (2 * dim) != 0) {
    throw JsError{ErrorKind::kRange, std::string(op) + ": " + name + " has " + std::to_string(values) +
                                         " values, expected a multiple of " + std::to_string(2 * dim)};
  }
  const std::size_t count = values / (2 * dim);
  if (count > static_cast<std::size_t>(std::numeric_limits<int32_t>::max())) {
    throw JsError{ErrorKind::kRange, std::string(op) + ": " + name + " has more boxes than fit 31 bits"};
  }
  return static_cast<int64_t>(count);
}

inline void expect_length(const char* op, const char* name, std::size_t length, double expected, const char* what) {
  if (static_cast<double>(length) == expected) return;
  throw JsError{ErrorKind::kRange, std::string(op) + ": " + name + " has " + std::to_string(length) + " values, expected " +
                                       (expected < 1e18 ? std::to_string(static_cast<int64_t>(expected)) : "very many") + " (" +
                                       what + ")"};
}

// Far above what memory holds, far below what 64 bits count.
constexpr double kMaxCells = 1e15;

// Number of cells of an array of these sizes, each at least 1.
inline double product_of_sizes(const Arguments& args, const char* name, const Values<int32_t>& sizes, int dim) {
  expect_length(args.op(), name, sizes.size(), dim, "one per axis");
  double product = 1;
  for (int d = 0; d < dim; ++d) {
    if (sizes[d] < 1) throw args.range_error(name, std::to_string(sizes[d]), "1 or more");
    product *= sizes[d];
  }
  if (product > kMaxCells) throw args.range_error(name, "too large", "fewer cells");
  return product;
}

}  // namespace mdt
