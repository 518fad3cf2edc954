// Elements held in 16 bits, taken in blocks as floats and back. Blocks of float cost nothing.
#pragma once
#include <c10/util/BFloat16.h>

#include <cstdint>
#include <type_traits>

namespace mdt {

void widen(const c10::BFloat16* from, int64_t n, float* to);
void narrow(const float* from, int64_t n, c10::BFloat16* to);

// to[c] += Σ of column c of [rows, columns].
void add_rows(const float* from, int64_t rows, int64_t columns, float* to);
void add_rows(const c10::BFloat16* from, int64_t rows, int64_t columns, float* to);

// n elements as floats: where they stand, or widened into `room`.
template <class E>
const float* as_floats(const E* from, int64_t n, float* room) {
  if constexpr (std::is_same_v<E, float>) return from;
  else return widen(from, n, room), room;
}

// Where n results are to be written before `write_floats`: in place, or in `room`.
template <class E>
float* floats_for(E* to, float* room) {
  if constexpr (std::is_same_v<E, float>) return to;
  else return room;
}
template <class E>
void write_floats(const float* results, int64_t n, E* to) {
  if constexpr (!std::is_same_v<E, float>) narrow(results, n, to);
}

}  // namespace mdt
