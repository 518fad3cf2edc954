#include "cuda_ops.h"

#include <atomic>
#include <filesystem>
#include <stdexcept>

#ifdef _WIN32
#include <windows.h>
#else
#include <dlfcn.h>
#endif

namespace mdt {
namespace {

// A worker may open it while another's kernels run. It is never closed: kernels that are queued still call it.
std::atomic<const cuda_api::Ops*> opened{nullptr};

// Throws what the system says.
void* entry_point(const std::string& path) {
#ifdef _WIN32
  const auto failed = [] { return std::invalid_argument("error " + std::to_string(GetLastError()) + " of Windows"); };
  const std::filesystem::path file(reinterpret_cast<const char8_t*>(path.c_str()));
  const HMODULE library = LoadLibraryW(file.c_str());
  if (library == nullptr) throw failed();
  void* const found = reinterpret_cast<void*>(GetProcAddress(library, cuda_api::kEntryPoint));
  if (found == nullptr) throw failed();
#else
  const auto failed = [] {
    const char* const reason = dlerror();
    return std::invalid_argument(reason == nullptr ? "unknown error" : reason);
  };
  void* const library = dlopen(path.c_str(), RTLD_LAZY | RTLD_LOCAL);
  if (library == nullptr) throw failed();
  void* const found = dlsym(library, cuda_api::kEntryPoint);
  if (found == nullptr) throw failed();
#endif
  return found;
}

}  // namespace

void open_cuda_ops(const std::string& path) {
  const auto entry = reinterpret_cast<cuda_api::EntryPoint>(entry_point(path));
  const cuda_api::Ops* const ops = entry(cuda_api::kVersion);
  if (ops == nullptr || ops->version != cuda_api::kVersion) {
    throw std::invalid_argument(path + " does not speak version " + std::to_string(cuda_api::kVersion) +
                                " of the interface: it is of another release of @mdt/native-ops");
  }
  opened = ops;
}

const cuda_api::Ops& cuda_ops() {
  const cuda_api::Ops* const ops = opened;
  if (ops == nullptr) throw std::runtime_error("the CUDA ops of @mdt/native-ops have not been opened");
  return *ops;
}

}  // namespace mdt
