// For functions that run on the CPU and in CUDA kernels alike.
#pragma once

#if defined(__CUDACC__)
#define PYCODEC_HD __host__ __device__
#else
#define PYCODEC_HD
#endif
