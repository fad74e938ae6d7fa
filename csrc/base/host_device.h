// Marks arithmetic that CPUs and GPUs share: one text, compiled for both where nvcc compiles it.
#pragma once

#if defined(__CUDACC__)
#define PYCODEC_HD __host__ __device__
#else
#define PYCODEC_HD
#endif

// Before a loop whose index must be known at compile time, as registers have no address; and before one whose
// loads should not wait for one another.
#if defined(__CUDA_ARCH__)
#define PYCODEC_PRAGMA(text) _Pragma(#text)
#define PYCODEC_UNROLL PYCODEC_PRAGMA(unroll)
#define PYCODEC_UNROLL_BY(n) PYCODEC_PRAGMA(unroll n)
#else
#define PYCODEC_UNROLL
#define PYCODEC_UNROLL_BY(n)
#endif
