// One kernel call: inputs, attributes and outputs, as a kernel sees them.
#pragma once
#include <ATen/ATen.h>

#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

namespace mdt {

class Call {
 public:
  Call(std::vector<const at::Tensor*> inputs, const double* attrs, size_t num_attrs, size_t num_outputs)
      : inputs_(std::move(inputs)), attrs_(attrs), num_attrs_(num_attrs), outputs_(num_outputs) {}

  // Input i; throws when the caller left it out.
  const at::Tensor& in(size_t i) const {
    if (!has(i)) throw std::invalid_argument("input " + std::to_string(i) + " is missing");
    return *inputs_[i];
  }
  bool has(size_t i) const { return i < inputs_.size() && inputs_[i] != nullptr; }
  size_t num_inputs() const { return inputs_.size(); }

  // Attributes are read in the order in which the caller wrote them.
  double number() {
    if (next_ >= num_attrs_) throw std::invalid_argument("an attribute is missing");
    return attrs_[next_++];
  }
  int64_t integer() { return static_cast<int64_t>(number()); }
  bool flag() { return number() != 0; }
  // A list: its length, then its values.
  std::vector<int64_t> integers() {
    const int64_t n = integer();
    if (n < 0 || next_ + n > num_attrs_) throw std::invalid_argument("an attribute list is cut short");
    std::vector<int64_t> values(n);
    for (auto& v : values) v = integer();
    return values;
  }

  void out(at::Tensor tensor, size_t i = 0) { outputs_.at(i) = std::move(tensor); }
  std::vector<at::Tensor>& outputs() { return outputs_; }
  size_t num_outputs() const { return outputs_.size(); }

 private:
  std::vector<const at::Tensor*> inputs_;
  const double* attrs_;
  size_t num_attrs_;
  size_t next_ = 0;
  std::vector<at::Tensor> outputs_;
};

using KernelFn = void (*)(Call&);

struct Kernel {
  const char* name;
  KernelFn run;
};

// Every kernel of the addon; an index into this list is the opcode that JavaScript sends.
const std::vector<Kernel>& kernels();

// Each file in kernels/ adds its own.
void add_elementwise(std::vector<Kernel>&);
void add_reduce(std::vector<Kernel>&);
void add_shape(std::vector<Kernel>&);
void add_index(std::vector<Kernel>&);
void add_linear(std::vector<Kernel>&);
void add_conv(std::vector<Kernel>&);
void add_pool(std::vector<Kernel>&);
void add_resize(std::vector<Kernel>&);
void add_norm(std::vector<Kernel>&);
void add_optimizer(std::vector<Kernel>&);

// tfjs keeps channels last; ATen names channels first. Both are views of the same memory.
inline at::Tensor channels_first(const at::Tensor& x) { return x.movedim(-1, 1); }
inline at::Tensor channels_last(const at::Tensor& x) { return x.movedim(1, -1).contiguous(); }
inline at::MemoryFormat channels_last_format(int64_t rank) {
  return rank == 5 ? at::MemoryFormat::ChannelsLast3d : at::MemoryFormat::ChannelsLast;
}

}  // namespace mdt
