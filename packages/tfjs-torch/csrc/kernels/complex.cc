// Complex numbers and Fourier transforms over the last axis.
#include "../call.h"

namespace mdt {
namespace {

void fourier(Call& c, bool inverse) {
  const at::Tensor x = c.in(0).to(at::kComplexFloat);
  if (x.numel() == 0) return c.out(x.clone());
  c.out((inverse ? at::fft_ifft(x, std::nullopt, -1) : at::fft_fft(x, std::nullopt, -1)).contiguous());
}

}  // namespace

void add_complex(std::vector<Kernel>& k) {
  k.insert(k.end(), {
      {"Complex", [](Call& c) { c.out(at::complex(c.in(0).to(at::kFloat), c.in(1).to(at::kFloat))); }},
      {"Real", [](Call& c) { c.out(at::real(c.in(0)).clone(at::MemoryFormat::Contiguous)); }},
      {"Imag", [](Call& c) { c.out(at::imag(c.in(0)).clone(at::MemoryFormat::Contiguous)); }},
      {"ComplexAbs", [](Call& c) { c.out(at::abs(c.in(0))); }},
      {"FFT", [](Call& c) { fourier(c, false); }},
      {"IFFT", [](Call& c) { fourier(c, true); }},
  });
}

}  // namespace mdt
