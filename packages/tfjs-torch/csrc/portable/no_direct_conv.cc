// Takes the place of direct_conv.cc, direct_kernels.cc and winograd.cc where the compiler or the processor is another than
// GCC for x86-64: nothing suits, and ATen's convolutions run.
#include "../direct_conv.h"
#include "../winograd.h"

#include <stdexcept>

namespace mdt {
namespace {

[[noreturn]] void absent() { throw std::logic_error("this build has no direct convolutions"); }

}  // namespace

namespace direct {

bool available() { return false; }
bool suits(const Shape&) { return false; }
template <class E> void forward(const Shape&, const E*, const float*, const float*, float, E*) { absent(); }
template <class E> void input_gradient(const Shape&, const E*, const float*, E*) { absent(); }
template <class E> void filter_gradient(const Shape&, const E*, const E*, float*) { absent(); }

}  // namespace direct

namespace winograd {

bool suits(const direct::Shape&) { return false; }
template <class E> void forward(const direct::Shape&, const E*, const float*, const float*, float, E*) { absent(); }
template <class E> void input_gradient(const direct::Shape&, const E*, const float*, E*) { absent(); }
template <class E> void filter_gradient(const direct::Shape&, const E*, const E*, float*) { absent(); }

}  // namespace winograd

using direct::Shape;
#define MDT_INSTANCES(space, E)                                                                         \
  template void space::forward<E>(const Shape&, const E*, const float*, const float*, float, E*);       \
  template void space::input_gradient<E>(const Shape&, const E*, const float*, E*);                     \
  template void space::filter_gradient<E>(const Shape&, const E*, const E*, float*);
MDT_INSTANCES(direct, float)
MDT_INSTANCES(direct, c10::BFloat16)
MDT_INSTANCES(winograd, float)
MDT_INSTANCES(winograd, c10::BFloat16)

}  // namespace mdt
