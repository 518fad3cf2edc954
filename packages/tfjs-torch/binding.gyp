{
  "variables": {
    "libtorch%": "<!(node scripts/libtorch-path.mjs)"
  },
  "targets": [
    {
      "target_name": "mdt_tfjs_torch",
      "sources": ["<!@(node -p \"['csrc','csrc/kernels'].flatMap(d=>require('fs').readdirSync(d).filter(f=>f.endsWith('.cc')).map(f=>d+'/'+f)).join(' ')\")"],
      "include_dirs": ["<(libtorch)/include", "<(libtorch)/include/torch/csrc/api/include"],
      "defines": ["NAPI_VERSION=8", "NODE_GYP_MODULE_NAME=mdt_tfjs_torch", "_GLIBCXX_USE_CXX11_ABI=1"],
      "cflags_cc!": ["-fno-exceptions", "-fno-rtti", "-std=gnu++17", "-std=gnu++20"],
      "cflags_cc": ["-std=c++20", "-O3", "-fexceptions", "-frtti", "-fopenmp", "-fno-math-errno", "-fno-trapping-math", "-Wall", "-Wno-unused-function"],
      "libraries": ["-L<(libtorch)/lib", "-ltorch_cpu", "-lc10", "-ltorch", "-Wl,-rpath,<(libtorch)/lib", "-fopenmp"]
    }
  ]
}
