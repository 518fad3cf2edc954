{
  "targets": [
    {
      "target_name": "mdt_native_ops",
      "sources": [
        "csrc/napi/addon.cc",
        "csrc/napi/boxes.cc",
        "csrc/napi/box_pairs.cc",
        "csrc/napi/components.cc",
        "csrc/napi/greedy_clusters.cc",
        "csrc/napi/masks.cc",
        "csrc/napi/resample.cc",
        "csrc/napi/roi_align.cc",
        "csrc/napi/soft_nms.cc",
        "csrc/napi/weighted_clusters.cc"
      ],
      "defines": ["NAPI_VERSION=8"],
      "cflags": ["-O3", "-Wall", "-Wextra"],
      "cflags!": ["-O2"],
      # -ffp-contract=off: the TypeScript twins have no fused multiply-add, and both must give the same bits.
      "cflags_cc": ["-std=c++17", "-ffp-contract=off", "-fvisibility=hidden", "-pthread"],
      "cflags_cc!": ["-fno-exceptions", "-fno-rtti", "-std=gnu++17", "-std=gnu++20"],
      "ldflags": ["-pthread"],
      "xcode_settings": {
        "CLANG_CXX_LANGUAGE_STANDARD": "c++17",
        "GCC_ENABLE_CPP_EXCEPTIONS": "YES",
        "GCC_OPTIMIZATION_LEVEL": "3",
        "OTHER_CPLUSPLUSFLAGS": ["-ffp-contract=off"]
      },
      "msvs_settings": {
        "VCCLCompilerTool": { "ExceptionHandling": 1, "AdditionalOptions": ["/std:c++17"] }
      }
    }
  ]
}
