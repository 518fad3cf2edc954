{
  "variables": {
    "libtorch%": "<!(node scripts/libtorch-path.mjs)"
  },
  "targets": [
    {
      "target_name": "mdt_tfjs_torch",
      "sources": ["<!@(node scripts/sources.mjs)"],
      "include_dirs": ["<(libtorch)/include", "<(libtorch)/include/torch/csrc/api/include"],
      "defines": ["NAPI_VERSION=8", "NODE_GYP_MODULE_NAME=mdt_tfjs_torch"],
      "conditions": [
        ["OS == 'linux'", {
          "defines": ["_GLIBCXX_USE_CXX11_ABI=1"],
          "include_dirs": ["build/precompiled", "csrc"],
          "cflags_cc!": ["-fno-exceptions", "-fno-rtti", "-std=gnu++17", "-std=gnu++20"],
          "cflags_cc": ["-include libtorch.h", "-std=c++20", "-O3", "-fexceptions", "-frtti", "-fopenmp", "-fno-math-errno", "-fno-trapping-math", "-Wall", "-Wno-unused-function"],
          "libraries": ["-Wl,--no-as-needed", "-L<(libtorch)/lib", "-ltorch_cpu", "-lc10", "-ltorch", "-Wl,-rpath,<(libtorch)/lib", "-fopenmp", "-ldl"]
        }],
        ["OS == 'mac'", {
          "xcode_settings": {
            "CLANG_CXX_LANGUAGE_STANDARD": "c++20",
            "CLANG_CXX_LIBRARY": "libc++",
            "GCC_ENABLE_CPP_EXCEPTIONS": "YES",
            "GCC_ENABLE_CPP_RTTI": "YES",
            "GCC_OPTIMIZATION_LEVEL": "3",
            "MACOSX_DEPLOYMENT_TARGET": "12.0"
          },
          "libraries": ["-L<(libtorch)/lib", "-ltorch_cpu", "-lc10", "-ltorch", "-Wl,-rpath,<(libtorch)/lib"]
        }],
        ["OS == 'win'", {
          "defines": ["NOMINMAX", "_USE_MATH_DEFINES"],
          "msvs_settings": {
            "VCCLCompilerTool": {
              "AdditionalOptions": ["/std:c++20", "/EHsc", "/GR", "/openmp", "/permissive-"],
              "ExceptionHandling": 1,
              "RuntimeTypeInfo": "true"
            }
          },
          "libraries": ["<(libtorch)/lib/torch_cpu.lib", "<(libtorch)/lib/c10.lib", "<(libtorch)/lib/torch.lib"]
        }]
      ]
    }
  ]
}
