// Fresh memory of many megabytes costs more to map, page by page, than to fill. On Linux large pages can be asked for; it is a hint.
#pragma once

#include <cstddef>
#include <cstdint>

#ifdef __linux__
#include <sys/mman.h>
#endif

namespace vldac {

// For a block that is about to be written as a whole.
inline void prefer_large_pages(void* block, size_t bytes) {
#ifdef __linux__
  constexpr uintptr_t kPage = uintptr_t{2} << 20;
  uintptr_t begin = (reinterpret_cast<uintptr_t>(block) + kPage - 1) & ~(kPage - 1), end = (reinterpret_cast<uintptr_t>(block) + bytes) & ~(kPage - 1);
  if (end > begin + kPage) (void)madvise(reinterpret_cast<void*>(begin), end - begin, MADV_HUGEPAGE);
#else
  (void)block, (void)bytes;
#endif
}

}  // namespace vldac
