// One kernel call: inputs, attributes and outputs, as a kernel sees them.
#pragma once
#include <ATen/ATen.h>

#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

#include "layout.h"

namespace mdt {

class Call {
 public:
  Call(std::vector<const at::Tensor*> inputs, std::vector<at::Tensor*> prepared, const double* attrs, size_t num_attrs, size_t num_outputs, c10::Device device)
      : inputs_(std::move(inputs)), prepared_(std::move(prepared)), attrs_(attrs), num_attrs_(num_attrs), outputs_(num_outputs), device_(device) {}

  // Input i; throws when the caller left it out. What is held in 16 bits comes as float32.
  const at::Tensor& in(size_t i) const {
    const at::Tensor& tensor = stored(i);
    if (!is_low(tensor)) return tensor;
    converted_.resize(inputs_.size());
    if (!converted_[i].defined()) converted_[i] = converted(tensor, at::kFloat);
    return converted_[i];
  }
  // The same as it is held, for kernels that know what to do with 16 bits.
  const at::Tensor& stored(size_t i) const {
    if (!has(i)) throw std::invalid_argument("input " + std::to_string(i) + " is missing");
    return *inputs_[i];
  }
  // As it is held where all inputs are held alike, else as float32.
  const at::Tensor& alike(size_t i) const {
    const at::ScalarType type = stored(i).scalar_type();
    for (size_t k = 0; k < inputs_.size(); k++) if (has(k) && stored(k).scalar_type() != type) return in(i);
    return stored(i);
  }
  // Whether nobody but its slot reads the memory of input i: where the caller gives that up, a result may take its place.
  bool is_alone(size_t i) const {
    const at::Tensor& x = stored(i);
    return x.use_count() == 1 && x.storage().use_count() == 1;
  }
  // What an earlier call left here for input i, undefined at first; it lives as long as the input, whose values never change.
  at::Tensor& prepared(size_t i) const {
    stored(i);
    return *prepared_[i];
  }
  bool has(size_t i) const { return i < inputs_.size() && inputs_[i] != nullptr; }
  size_t num_inputs() const { return inputs_.size(); }

  // Attributes are read in the order in which the caller wrote them.
  double number() {
    if (next_ >= num_attrs_) throw std::invalid_argument("an attribute is missing");
    return attrs_[next_++];
  }
  int64_t integer() {
    const double value = number();
    constexpr double kLargest = 9007199254740992.0;  // 2⁵³: beyond it doubles skip integers
    if (!(value >= -kLargest && value <= kLargest)) throw std::invalid_argument("an attribute is no integer");
    return static_cast<int64_t>(value);
  }
  bool flag() { return number() != 0; }
  // A list: its length, then its values.
  std::vector<int64_t> integers() {
    const int64_t n = integer();
    if (n < 0 || n > static_cast<int64_t>(num_attrs_ - next_)) throw std::invalid_argument("an attribute list is cut short");
    std::vector<int64_t> values(n);
    for (auto& v : values) v = integer();
    return values;
  }

  // Where this environment's tensors live: a tensor that is made from nothing takes these options.
  at::TensorOptions options(at::ScalarType type) const { return at::TensorOptions().dtype(type).device(device_); }

  void out(at::Tensor tensor, size_t i = 0) { outputs_.at(i) = std::move(tensor); }
  std::vector<at::Tensor>& outputs() { return outputs_; }
  size_t num_outputs() const { return outputs_.size(); }

 private:
  std::vector<const at::Tensor*> inputs_;
  std::vector<at::Tensor*> prepared_;
  mutable std::vector<at::Tensor> converted_;
  const double* attrs_;
  size_t num_attrs_;
  size_t next_ = 0;
  std::vector<at::Tensor> outputs_;
  c10::Device device_;
};

using KernelFn = void (*)(Call&);

struct Kernel {
  const char* name;
  KernelFn run;
};

// Every kernel of the addon; an index into this list is the opcode that JavaScript sends.
const std::vector<Kernel>& kernels();

// What a kernel asks of its arguments before it touches memory.
inline void require(bool holds, const char* what) {
  if (!holds) throw std::invalid_argument(what);
}

// Types of elements, as JavaScript numbers them.
constexpr int32_t kNumTypes = 4;
inline at::ScalarType element_type(int64_t code) {
  constexpr at::ScalarType types[kNumTypes] = {at::kFloat, at::kInt, at::kBool, at::kComplexFloat};
  if (code < 0 || code >= kNumTypes) throw std::invalid_argument("no such type of elements");
  return types[code];
}

// Each file in kernels/ adds its own.
void add_elementwise(std::vector<Kernel>&);
void add_reduce(std::vector<Kernel>&);
void add_shape(std::vector<Kernel>&);
void add_index(std::vector<Kernel>&);
void add_linear(std::vector<Kernel>&);
void add_conv(std::vector<Kernel>&);
void add_grouped_conv(std::vector<Kernel>&);
void add_complex(std::vector<Kernel>&);
void add_batch_norm(std::vector<Kernel>&);
void add_pool(std::vector<Kernel>&);
void add_resize(std::vector<Kernel>&);
void add_norm(std::vector<Kernel>&);
void add_optimizer(std::vector<Kernel>&);
void add_detection(std::vector<Kernel>&);

}  // namespace mdt
