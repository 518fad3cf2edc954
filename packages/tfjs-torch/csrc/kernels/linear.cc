// Matrix products.
#include <algorithm>

#include "../call.h"

namespace mdt {
namespace {

// One matrix a, held in 16 bits, times b: its rows are widened some at a time.
at::Tensor rows_times(const at::Tensor& a, const at::Tensor& b, at::ScalarType results) {
  constexpr int64_t kPartBytes = int64_t{8} << 20;
  std::vector<int64_t> shape = a.sizes().vec();
  shape.back() = b.size(-1);
  at::Tensor y = at::empty(shape, a.options().dtype(results));
  const int64_t rows = a.size(-2), most = std::max<int64_t>(1, kPartBytes / std::max<int64_t>(1, 4 * (a.size(-1) + b.size(-1))));
  for (int64_t first = 0; first < rows; first += most) {
    const int64_t count = std::min(most, rows - first);
    y.narrow(-2, first, count).copy_(at::matmul(converted(a.narrow(-2, first, count), at::kFloat), b));
  }
  return y;
}

// a, b → a · b, each transposed by request. Integers are multiplied as they are.
void batch_mat_mul(Call& c) {
  const bool transpose_a = c.flag(), transpose_b = c.flag();
  const at::ScalarType results = low_type(c.integer());
  const bool floats = c.stored(0).is_floating_point() && c.stored(1).is_floating_point();
  const bool low = floats && is_low(results) && (!c.stored(0).is_cpu() || has_bfloat16_products());
  const auto operand = [&](size_t i, bool transpose) {
    const at::Tensor x = low ? converted(c.stored(i), results) : c.in(i);
    return transpose ? x.transpose(-2, -1) : x;
  };
  const at::Tensor& a = c.stored(0);
  if (floats && !low && is_low(results) && is_low(a) && !transpose_a && a.numel() == a.size(-2) * a.size(-1) && a.dim() == c.stored(1).dim()) {
    return c.out(rows_times(a, operand(1, transpose_b), results));
  }
  const at::Tensor y = at::matmul(operand(0, transpose_a), operand(1, transpose_b));
  c.out(floats && is_low(results) ? y.to(results) : y);
}

// The equation comes as a list of character codes.
void einsum(Call& c) {
  std::string equation;
  for (const int64_t code : c.integers()) equation += static_cast<char>(code);
  at::ScalarType type = c.in(0).scalar_type();
  for (size_t i = 1; i < c.num_inputs(); i++) type = c10::promoteTypes(type, c.in(i).scalar_type());
  std::vector<at::Tensor> inputs;
  for (size_t i = 0; i < c.num_inputs(); i++) inputs.push_back(c.in(i).to(type));
  c.out(contiguous(at::einsum(equation, inputs)));
}

}  // namespace

void add_linear(std::vector<Kernel>& k) { k.insert(k.end(), {{"BatchMatMul", batch_mat_mul}, {"Einsum", einsum}}); }

}  // namespace mdt
