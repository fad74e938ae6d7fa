// What the CUDA runtime answers, as an error of ours. For .cu files.
#pragma once

#include <cuda_runtime_api.h>

#include <string>

#include "base/error.h"

namespace pycodec {

// Throws DeviceError unless `status` is success; `what` names what was tried.
inline void check_cuda(cudaError_t status, const char* what) {
  if (status == cudaSuccess) return;
  cudaGetLastError();  // an error of this call must not be reported by the next one
  throw DeviceError(std::string(what) + ": CUDA says " + cudaGetErrorName(status) + " (" +
                    cudaGetErrorString(status) + ")");
}

}  // namespace pycodec
