// The CUDA ops of @mdt/native-ops: a library that is opened at run time, so that this addon neither links nor needs CUDA.
#pragma once
#include "../../native-ops/csrc/cuda/c_api.h"

#include <string>

namespace mdt {

// Opens the library for the whole process, once. Throws std::invalid_argument that says why it cannot be used; what was opened
// before stays in use then.
void open_cuda_ops(const std::string& path);

// Throws where none has been opened.
const cuda_api::Ops& cuda_ops();

}  // namespace mdt
