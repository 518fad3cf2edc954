// What JS sees of CUDA: the ops of ../napi/addon.cc that run on a device, under the same names and with the same arguments
// but for `threads`, which is the number of the device; ops on device pointers; the devices.
#include <node_api.h>

#include "../napi/arguments.h"
#include "../napi/subjects.h"
#include "pointers.h"

NAPI_MODULE_INIT() {
  return mdt::guarded(env, "mdt_native_ops_cuda", [&] {
    mdt::expose_boxes(env, exports);
    mdt::expose_box_pairs(env, exports);
    mdt::expose_roi_align(env, exports);
    mdt::expose_devices(env, exports);
    mdt::expose_pointer_ops(env, exports);
    return exports;
  });
}
