// Kernels that move or rearrange elements. Views share memory where ATen can; outputs that would keep a much larger
// tensor alive are copied.
#include "../call.h"

namespace mdt {
namespace {

void reshape(Call& c) { c.out(at::reshape(c.stored(0), c.integers())); }

void slice(Call& c) {
  const auto begin = c.integers(), size = c.integers();
  require(begin.size() == size.size(), "as many sizes as begins are needed");
  at::Tensor y = c.stored(0);
  for (size_t d = 0; d < begin.size(); d++) y = y.narrow(d, begin[d], size[d]);
  c.out(y.clone(at::MemoryFormat::Contiguous));
}

// Constant padding; tfjs lists axes first to last, ATen last to first.
void pad(Call& c) {
  const double value = c.number();
  const auto before = c.integers(), after = c.integers();
  require(before.size() == after.size(), "an axis is padded on both sides");
  std::vector<int64_t> pads;
  for (size_t d = before.size(); d-- > 0;) {
    pads.push_back(before[d]);
    pads.push_back(after[d]);
  }
  c.out(at::constant_pad_nd(c.stored(0), pads, value));
}

// All inputs, in the type of the first; what is held in 16 bits stays so where all inputs are.
std::vector<at::Tensor> alike(const Call& c) {
  std::vector<at::Tensor> parts;
  for (size_t i = 0; i < c.num_inputs(); i++) parts.push_back(c.alike(i).to(c.alike(0).scalar_type()));
  return parts;
}

void concat(Call& c) { c.out(at::cat(alike(c), c.integer()).contiguous()); }

void split(Call& c) {
  const int64_t axis = c.integer();
  const auto sizes = c.integers();
  int64_t at = 0;
  for (size_t i = 0; i < sizes.size(); i++) {
    c.out(c.stored(0).narrow(axis, at, sizes[i]).clone(at::MemoryFormat::Contiguous), i);
    at += sizes[i];
  }
}

}  // namespace

void add_shape(std::vector<Kernel>& k) {
  k.insert(k.end(), {
      {"Reshape", reshape}, {"Slice", slice}, {"PadV2", pad}, {"Concat", concat}, {"SplitV", split},
      {"Transpose", [](Call& c) { c.out(c.stored(0).permute(c.integers()).contiguous()); }},
      {"Tile", [](Call& c) { c.out(c.stored(0).repeat(c.integers())); }},
      {"BroadcastTo", [](Call& c) { c.out(c.stored(0).expand(c.integers()).contiguous()); }},
      {"Reverse", [](Call& c) { c.out(at::flip(c.stored(0), c.integers())); }},
      {"StridedSlice", [](Call& c) {
         const auto begin = c.integers(), end = c.integers(), strides = c.integers();
         require(begin.size() == end.size() && begin.size() == strides.size(), "as many ends and strides as begins are needed");
         at::Tensor y = c.stored(0);
         for (size_t d = 0; d < begin.size(); d++) y = y.slice(d, begin[d], end[d], strides[d]);
         c.out(y.clone(at::MemoryFormat::Contiguous));
       }},
      {"Pack", [](Call& c) { c.out(at::stack(alike(c), c.integer())); }},
      // Slices of x along an axis, in the order of a list.
      {"Take", [](Call& c) {
         const int64_t axis = c.integer();
         const auto indices = c.integers();
         const int64_t size = c.in(0).size(axis);
         for (const int64_t i : indices) if (i < 0 || i >= size) throw std::out_of_range("index " + std::to_string(i) + " is outside 0 to " + std::to_string(size - 1));
         c.out(at::index_select(c.in(0), axis, at::tensor(indices, at::kLong).to(c.in(0).device())));
       }},
      {"Unpack", [](Call& c) {
         const int64_t axis = c.integer();
         for (size_t i = 0; i < c.num_outputs(); i++) c.out(c.stored(0).select(axis, i).clone(at::MemoryFormat::Contiguous), i);
       }},
  });
}

}  // namespace mdt
