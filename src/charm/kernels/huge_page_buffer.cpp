#include <sys/mman.h>

#include <cstdlib>
#include <new>

#include "charm/kernels/kernels.h"

namespace charm::kernels {
namespace {

constexpr std::size_t kCacheLine = 64;
constexpr std::size_t kHugePage = std::size_t{2} << 20;

}  // namespace

HugePageBuffer::HugePageBuffer(std::size_t words) : size_(words) {
  // Huge pages pay only where several are used: the last one wastes memory.
  const std::size_t alignment =
      words * sizeof(std::uint32_t) >= 4 * kHugePage ? kHugePage : kCacheLine;
  const std::size_t bytes = (words * sizeof(std::uint32_t) + alignment - 1) / alignment * alignment;
  void* memory = std::aligned_alloc(alignment, bytes == 0 ? alignment : bytes);
  if (memory == nullptr) throw std::bad_alloc();
#ifdef MADV_HUGEPAGE
  if (alignment == kHugePage)
    madvise(memory, bytes, MADV_HUGEPAGE);  // on failure the pages stay small
#endif
  words_.reset(static_cast<std::uint32_t*>(memory));
}

void HugePageBuffer::Free::operator()(std::uint32_t* memory) const { std::free(memory); }

}  // namespace charm::kernels
