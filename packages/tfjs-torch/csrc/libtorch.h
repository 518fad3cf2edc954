// What every source begins with where the compiler is g++: libtorch's headers, which build-native.mjs compiles once.
#ifndef MDT_LIBTORCH_H  // g++ warns of a pragma in a header that it compiles by itself
#define MDT_LIBTORCH_H
#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#endif
