// How a CUDA op says what went wrong: it neither throws nor ends the process.
#pragma once

#include <string>

namespace mdt::cuda {

struct Status {
  std::string error;  // what was tried and what the device said; empty when all went well

  bool ok() const { return error.empty(); }
};

}  // namespace mdt::cuda
