// Marks arithmetic that CPUs and GPUs share: one text, compiled for both where nvcc compiles it.
#pragma once

#if defined(__CUDACC__)
#define PYCODEC_HD __host__ __device__
#else
#define PYCODEC_HD
#endif
