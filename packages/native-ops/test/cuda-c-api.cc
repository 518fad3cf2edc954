// Opens the CUDA addon as another native library does and calls it: `cuda-c-api ADDON` prints what it answers. There need be no
// device: the addresses are of nothing, and no call with wrong arguments gets as far as to read them.
#include <dlfcn.h>

#include <cstdio>

#include "../csrc/cuda/c_api.h"

using namespace mdt::cuda_api;

int main(int, char** argv) {
  void* const addon = dlopen(argv[1], RTLD_LAZY | RTLD_LOCAL);
  if (addon == nullptr) return std::fprintf(stderr, "%s\n", dlerror()), 1;
  const auto entry = reinterpret_cast<EntryPoint>(dlsym(addon, kEntryPoint));
  if (entry == nullptr) return std::fprintf(stderr, "%s\n", dlerror()), 1;
  const Ops* const ops = entry(kVersion);
  if (ops == nullptr) return 1;
  std::printf("version %d, later ones %s\n", ops->version, entry(kVersion + 1) == nullptr ? "refused" : "taken");

  std::printf("workspace %zu %zu %zu\n", ops->roi_align_grad_workspace(2, 10, 0), ops->roi_align_grad_workspace(2, 10, 1),
              ops->roi_align_grad_workspace(3, 10, 1));

  char text[200] = "";
  const RoiMap map{nullptr, {4, 4, 1}, {1, 1, 1}};
  RoiAlign call{};
  call.maps = &map;
  call.dim = 4;
  std::printf("%d %s\n", ops->roi_align(&call, nullptr, {text, sizeof text}), text);
  call.dim = 2;
  std::printf("%d %s\n", ops->roi_align_grad(&call, nullptr, 0, nullptr, 0, {text, sizeof text}), text);
  call.map_count = 1;
  call.device = 1000;
  std::printf("%d %s\n", ops->roi_align(&call, nullptr, {text, sizeof text}), text);
  std::printf("%d %s\n", ops->roi_align(&call, nullptr, {text, 5}), text);
  std::printf("%d\n", ops->roi_align(&call, nullptr, {nullptr, 0}));
}
