// Marks arithmetic that the CUDA kernels share with the CPU code.
#pragma once

#if defined(__CUDACC__)
#define MDT_HOST_DEVICE __host__ __device__
#else
#define MDT_HOST_DEVICE
#endif
