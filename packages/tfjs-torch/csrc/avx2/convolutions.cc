// The convolutions of direct_conv.cc and winograd.cc once more, for processors with AVX2 and without AVX-512.
#define MDT_AVX2 1
#include "../direct_kernels.cc"
#include "../direct_conv.cc"
#include "../winograd.cc"
