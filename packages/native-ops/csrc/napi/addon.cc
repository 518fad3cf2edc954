// What JS sees: every op as `op` and `opAsync`. The jobs stand beside this file, one file per subject.
#include <node_api.h>

#include "arguments.h"
#include "subjects.h"

NAPI_MODULE_INIT() {
  return mdt::guarded(env, "mdt_native_ops", [&] {
    mdt::expose_boxes(env, exports);
    mdt::expose_box_pairs(env, exports);
    mdt::expose_components(env, exports);
    mdt::expose_masks(env, exports);
    mdt::expose_resample(env, exports);
    mdt::expose_roi_align(env, exports);
    mdt::expose_soft_nms(env, exports);
    mdt::expose_greedy_clusters(env, exports);
    mdt::expose_weighted_clusters(env, exports);
    return exports;
  });
}
