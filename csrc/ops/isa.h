// Which instruction sets a kernel may use, found at run time: one wheel serves every x86-64 processor, and others take the
// scalar path. The environment variable VLDAC_ISA forces a tier. All functions may be called from any thread.
//
// A kernel that has a variant per tier marks it with VLDAC_TARGET (GCC and Clang compile that one function for the tier), is
// handed an Isa once, and gives the same bytes at every tier (the row kernels of rows.h: the same within rounding).
#pragma once

#include <cstdlib>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

// VLDAC_SCALAR_ONLY compiles an x86-64 machine's code as another architecture's would be.
#if defined(__x86_64__) && !defined(VLDAC_SCALAR_ONLY)
#define VLDAC_X86 1
#define VLDAC_TARGET(features) __attribute__((target(features)))
#endif

namespace vldac {

// Each tier includes those before it.
enum class Isa { kScalar, kSse41, kAvx2, kAvx512 };

inline constexpr std::string_view kIsaNames[] = {"scalar", "sse41", "avx2", "avx512"};

inline std::string_view isa_name(Isa isa) { return kIsaNames[static_cast<size_t>(isa)]; }

// The best tier of this processor and operating system.
inline Isa best_isa() {
#ifdef VLDAC_X86
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
      __builtin_cpu_supports("avx512vl"))
    return Isa::kAvx512;
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return Isa::kAvx2;
  if (__builtin_cpu_supports("sse4.1") && __builtin_cpu_supports("ssse3")) return Isa::kSse41;
#endif
  return Isa::kScalar;
}

inline std::vector<std::string> supported_isas() {
  std::vector<std::string> names;
  for (size_t i = 0; i <= static_cast<size_t>(best_isa()); ++i) names.emplace_back(kIsaNames[i]);
  return names;
}

// The tier of that name. Throws std::invalid_argument for an unknown one and for one that this machine cannot run.
inline Isa parse_isa(std::string_view name) {
  for (size_t i = 0; i <= static_cast<size_t>(best_isa()); ++i)
    if (kIsaNames[i] == name) return static_cast<Isa>(i);
  std::string list;
  for (const auto& known : supported_isas()) list += (list.empty() ? "" : ", ") + known;
  throw std::invalid_argument("expected an instruction set that this machine runs: " + list + "\n     got '" + std::string(name) +
                              "'\n   where the environment variable VLDAC_ISA\n      do unset it, or set it to one of these");
}

// The tier that kernels take: VLDAC_ISA where it is set and not empty, else the best. Read once per object, not per call.
inline Isa chosen_isa() {
  const char* forced = std::getenv("VLDAC_ISA");
  return forced && *forced ? parse_isa(forced) : best_isa();
}

}  // namespace vldac
