// Takes the place of convolutions.cc and of what it chooses from where the compiler or the processor is another than
// GCC for x86-64: nothing suits, and ATen's convolutions run.
#include "../direct_conv.h"
#include "../winograd.h"

#include <stdexcept>

namespace mdt {
namespace {

[[noreturn]] void absent() { throw std::logic_error("this build has no direct convolutions"); }

}  // namespace

namespace direct {

bool has_avx512() { return false; }
bool has_avx2() { return false; }
bool suits(const Shape&) { return false; }
template <class E> void forward(const Shape&, const E*, const float*, const float*, float, E*) { absent(); }
template <class E> void input_gradient(const Shape&, const E*, const float*, E*) { absent(); }
template <class E> void filter_gradient(const Shape&, const E*, const E*, float*) { absent(); }

}  // namespace direct

namespace winograd {

bool suits(const direct::Shape&) { return false; }
bool reads_bfloat16() { return false; }
template <class E> void forward(const direct::Shape&, const E*, const float*, const float*, float, E*) { absent(); }
template <class E> void input_gradient(const direct::Shape&, const E*, const float*, E*) { absent(); }
template <class E> void filter_gradient(const direct::Shape&, const E*, const E*, float*) { absent(); }

}  // namespace winograd

#include "../convolution_instances.inc"

}  // namespace mdt
