// Where the jobs have their work done: `backend::op` is the op on the CPU, or in the CUDA addon the same op on a device.
#pragma once

#if defined(MDT_CUDA)
#include "../cuda/on_device.h"
namespace mdt {
namespace backend = on_device;
}
#else
#include "../cpu/box_iou.h"
#include "../cpu/box_pairs.h"
#include "../cpu/nms.h"
#include "../cpu/roi_align.h"
namespace mdt {
namespace backend = ::mdt;
}
#endif
