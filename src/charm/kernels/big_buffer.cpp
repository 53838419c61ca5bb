#include "charm/kernels/big_buffer.h"

#include <sys/mman.h>

#include <cstdlib>
#include <new>

namespace charm::kernels {
namespace {

constexpr std::size_t kCacheLine = 64;
constexpr std::size_t kLargePage = std::size_t{2} << 20;

}  // namespace

BigBuffer::BigBuffer(std::size_t words) : size_(words) {
  // Large pages are not worth the memory that the last one wastes unless there are several.
  const std::size_t alignment =
      words * sizeof(std::uint32_t) >= 4 * kLargePage ? kLargePage : kCacheLine;
  const std::size_t bytes = (words * sizeof(std::uint32_t) + alignment - 1) / alignment * alignment;
  void* memory = std::aligned_alloc(alignment, bytes == 0 ? alignment : bytes);
  if (memory == nullptr) throw std::bad_alloc();
#ifdef MADV_HUGEPAGE
  if (alignment == kLargePage)
    madvise(memory, bytes, MADV_HUGEPAGE);  // a refusal leaves ordinary pages
#endif
  words_.reset(static_cast<std::uint32_t*>(memory));
}

void BigBuffer::Free::operator()(std::uint32_t* memory) const { std::free(memory); }

}  // namespace charm::kernels
