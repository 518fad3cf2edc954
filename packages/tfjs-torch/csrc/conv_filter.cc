#include "conv_filter.h"

#include "transpose.h"

namespace mdt {
namespace {

// [rows, columns] to [columns, rows] of another type.
at::Tensor turned(const at::Tensor& matrix, at::ScalarType type) {
  at::Tensor to = at::empty({matrix.size(1), matrix.size(0)}, matrix.options().dtype(type));
  if (!matrix.is_cpu() || !matrix.is_contiguous()) return to.copy_(matrix.t());
  with_elements(matrix, [&](auto from) {
    with_elements(to, [&](auto zero) {
      using From = decltype(from);
      using To = decltype(zero);
      transpose(matrix.const_data_ptr<From>(), {1, matrix.size(0), matrix.size(1)}, to.mutable_data_ptr<To>());
    });
  });
  return to;
}

}  // namespace

at::Tensor filter_to_aten(const at::Tensor& filter, at::ScalarType type) {
  std::vector<int64_t> sizes{filter.size(-1)};  // [out, k…, in]
  sizes.insert(sizes.end(), filter.sizes().begin(), filter.sizes().end() - 1);
  return turned(filter.reshape({-1, filter.size(-1)}), type).view(sizes).movedim(-1, 1);
}

at::Tensor filter_from_aten(const at::Tensor& filter) {
  const at::Tensor last = filter.movedim(1, -1);  // [out, k…, in]
  const at::Tensor& memory = last.is_contiguous() ? last : filter;
  std::vector<int64_t> sizes(memory.sizes().begin() + 1, memory.sizes().end());
  sizes.push_back(memory.size(0));
  const at::Tensor back = turned(contiguous(memory).view({memory.size(0), -1}), at::kFloat).view(sizes);
  return last.is_contiguous() ? back : contiguous(back.movedim(0, -2));
}

at::Tensor filter_shape(const std::vector<int64_t>& shape, const at::Tensor& image) {
  std::vector<int64_t> sizes{shape.back(), shape[shape.size() - 2]};
  sizes.insert(sizes.end(), shape.begin(), shape.end() - 2);
  // ATen's kernel for single small images of float32 takes row-major filters only; oneDNN would copy such a one.
  const bool small = image.scalar_type() == at::kFloat && image.size(0) == 1 && image.numel() / std::max<int64_t>(1, image.size(-2)) <= 20480;
  return at::empty(sizes, image.options(), small ? at::MemoryFormat::Contiguous : channels_last_format(image.dim()));
}

}  // namespace mdt
