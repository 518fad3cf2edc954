// Kernels that look elements up by index. Indices come from users: every one is checked before it is used.
#include "../call.h"

namespace mdt {
namespace {

// On other devices a check would wait for them: there the nearest element inside is taken.
at::Tensor checked(const at::Tensor& indices, int64_t size) {
  const at::Tensor flat = indices.reshape({-1}).to(at::kLong);
  if (!flat.is_cpu()) return flat.clamp(0, size - 1);
  if (flat.numel() > 0) {
    const int64_t low = flat.min().item<int64_t>(), high = flat.max().item<int64_t>();
    if (low < 0 || high >= size) {
      throw std::out_of_range("index " + std::to_string(low < 0 ? low : high) + " is outside 0 to " + std::to_string(size - 1));
    }
  }
  return flat;
}

// x [batch…, axis, rest…] and indices [batch…, n…]
void gather(Call& c) {
  const int64_t axis = c.integer(), batch_dims = c.integer();
  const auto shape = c.integers();
  const at::Tensor &x = c.stored(0), &indices = c.in(1);
  if (axis < 0 || batch_dims < 0 || batch_dims > std::min(axis, indices.dim())) throw std::invalid_argument("axis and batch dimensions do not go together");
  const at::Tensor flat = checked(indices, x.size(axis));
  if (batch_dims == 0) return c.out(at::index_select(x, axis, flat).reshape(shape));
  const auto sizes = x.sizes();
  int64_t batch = 1, outer = 1, inner = 1;
  for (int64_t d = 0; d < batch_dims; d++) batch *= sizes[d];
  for (int64_t d = batch_dims; d < axis; d++) outer *= sizes[d];
  for (int64_t d = axis + 1; d < x.dim(); d++) inner *= sizes[d];
  const int64_t n = flat.numel() / std::max<int64_t>(batch, 1);
  const at::Tensor rows = x.reshape({batch, outer, sizes[axis], inner});
  const at::Tensor at = flat.reshape({batch, 1, n, 1}).expand({batch, outer, n, inner});
  c.out(at::gather(rows, 2, at).reshape(shape));
}

void gather_nd(Call& c) {
  const auto shape = c.integers();
  const at::Tensor &x = c.stored(0), &indices = c.in(1);
  const int64_t depth = indices.size(-1);
  const at::Tensor rows = indices.reshape({-1, depth});
  at::Tensor flat = at::zeros({rows.size(0)}, rows.options().dtype(at::kLong));
  for (int64_t d = 0; d < depth; d++) flat = flat * x.size(d) + checked(rows.select(1, d), x.size(d));
  int64_t leading = 1;
  for (int64_t d = 0; d < depth; d++) leading *= x.size(d);
  c.out(at::index_select(x.reshape({leading, -1}), 0, flat).reshape(shape));
}

// indices [n…, depth], or a list of them for a depth of one; updates [n…, rest…]. Adds to zeros, or replaces in a tensor.
template <bool kReplace>
void scatter_nd(Call& c) {
  const auto shape = c.integers();
  const int64_t depth = c.integer();
  const at::Tensor &indices = c.in(0), &updates = c.in(1);
  const at::Tensor rows = indices.reshape({-1, depth});
  at::Tensor flat = at::zeros({rows.size(0)}, rows.options().dtype(at::kLong));
  int64_t leading = 1, inner = 1;
  if (depth < 0 || depth > static_cast<int64_t>(shape.size())) throw std::invalid_argument("indices are deeper than the shape");
  for (int64_t d = 0; d < static_cast<int64_t>(shape.size()); d++) (d < depth ? leading : inner) *= shape[d];
  for (int64_t d = 0; d < depth; d++) flat = flat * shape[d] + checked(rows.select(1, d), shape[d]);
  const at::Tensor values = updates.reshape({rows.size(0), inner});
  at::Tensor y = kReplace ? c.in(2).clone(at::MemoryFormat::Contiguous).reshape({leading, inner}) : at::zeros({leading, inner}, updates.options());
  if (kReplace) {
    y.index_copy_(0, flat, values.to(y.scalar_type()));
  } else {
    y.index_add_(0, flat, values);
  }
  c.out(y.reshape(shape));
}

// Rows of x summed by segment; negative ids are dropped.
void segment_sum(Call& c) {
  const int64_t segments = c.integer();
  const at::Tensor& x = c.in(0);
  at::Tensor ids = c.in(1).reshape({-1}).to(at::kLong);
  auto shape = x.sizes().vec();
  int64_t inner = 1;
  for (size_t d = c.in(1).dim(); d < shape.size(); d++) inner *= shape[d];
  at::Tensor rows = x.reshape({ids.numel(), inner});
  if (!ids.is_cpu()) {  // without waiting for the device: what is outside goes to a row of its own, which is cut off
    ids = at::where((ids < 0) | (ids >= segments), at::full({}, segments, ids.options()), ids);
  } else if (ids.numel() > 0) {
    const int64_t high = ids.max().item<int64_t>();
    if (high >= segments) throw std::out_of_range("segment " + std::to_string(high) + " is outside 0 to " + std::to_string(segments - 1));
    if (ids.min().item<int64_t>() < 0) {
      const at::Tensor kept = at::nonzero(ids >= 0).reshape({-1});
      ids = ids.index_select(0, kept);
      rows = rows.index_select(0, kept);
    }
  }
  std::vector<int64_t> out(shape.begin() + c.in(1).dim(), shape.end());
  out.insert(out.begin(), segments);
  const at::Tensor sums = at::zeros({segments + (ids.is_cpu() ? 0 : 1), rows.size(1)}, x.options()).index_add_(0, ids, rows);
  c.out(sums.narrow(0, 0, segments).reshape(out));
}

void one_hot(Call& c) {
  const auto options = c.options(element_type(c.integer()));
  const int64_t depth = c.integer();
  const double on = c.number(), off = c.number();
  const at::Tensor match = c.in(0).unsqueeze(-1).eq(at::arange(depth, c.options(c.in(0).scalar_type())));
  c.out(at::where(match, at::full({}, on, options), at::full({}, off, options)));
}

void top_k(Call& c) {
  const int64_t k = c.integer();
  const auto sorted = at::sort(c.in(0), /*stable=*/true, /*dim=*/-1, /*descending=*/true);
  c.out(std::get<0>(sorted).narrow(-1, 0, k).clone(at::MemoryFormat::Contiguous), 0);
  c.out(std::get<1>(sorted).narrow(-1, 0, k).to(at::kInt).contiguous(), 1);
}

}  // namespace

void add_index(std::vector<Kernel>& k) {
  k.insert(k.end(), {
      {"GatherV2", gather}, {"GatherNd", gather_nd}, {"ScatterNd", scatter_nd<false>}, {"TensorScatterUpdate", scatter_nd<true>}, {"UnsortedSegmentSum", segment_sum},
      {"OneHot", one_hot}, {"TopK", top_k},
  });
}

}  // namespace mdt
