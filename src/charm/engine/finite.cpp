#include <atomic>
#include <cstring>

#include "charm/base/check.h"
#include "charm/base/parallel.h"
#include "charm/engine/safetensors.h"

namespace charm::engine {
namespace {

/// SIMD within a register: a value is NaN or infinite when all its exponent bits are set. Adding
/// the exponent's lowest bit to the masked exponent carries into the sign bit exactly then; the sum
/// stays within its lane, so all lanes of a 64-bit word are tested at once.
struct LaneTest {
  std::uint64_t exponents;
  std::uint64_t ones;
  std::uint64_t signs;
};
constexpr LaneTest kFloat32Lanes{0x7f8000007f800000U, 0x0080000000800000U, 0x8000000080000000U};
constexpr LaneTest kBFloat16Lanes{0x7f807f807f807f80U, 0x0080008000800080U, 0x8000800080008000U};
constexpr LaneTest kFloat16Lanes{0x7c007c007c007c00U, 0x0400040004000400U, 0x8000800080008000U};

bool has_non_finite(const char* bytes, std::size_t size, const LaneTest& lanes) {
  std::uint64_t carries = 0;
  std::size_t offset = 0;
  for (; offset + 8 <= size; offset += 8) {
    std::uint64_t word;
    std::memcpy(&word, bytes + offset, 8);
    carries |= (word & lanes.exponents) + lanes.ones;
  }
  if (offset < size) {
    std::uint64_t word = 0;
    std::memcpy(&word, bytes + offset, size - offset);
    carries |= (word & lanes.exponents) + lanes.ones;
  }
  return (carries & lanes.signs) != 0;
}

const LaneTest& lanes_of(DType dtype) {
  switch (dtype) {
    case DType::kFloat32:
      return kFloat32Lanes;
    case DType::kBFloat16:
      return kBFloat16Lanes;
    case DType::kFloat16:
      return kFloat16Lanes;
    default:
      break;
  }
  throw Error(ErrorKind::kInternal, "find_non_finite: unexpected dtype {}", dtype_name(dtype));
}

}  // namespace

std::optional<std::int64_t> find_non_finite(const Tensor& values) {
  const LaneTest& lanes = lanes_of(values.dtype());
  const auto* bytes = reinterpret_cast<const char*>(values.bytes());
  const std::size_t size = values.nbytes();
  const std::size_t element = element_bytes(values.dtype());

  constexpr std::size_t kChunk = std::size_t{1} << 22;
  std::atomic<std::size_t> first_bad_chunk{SIZE_MAX};
  parallel_for((size + kChunk - 1) / kChunk, /*num_threads=*/0, [&](std::size_t chunk) {
    const std::size_t begin = chunk * kChunk;
    if (!has_non_finite(bytes + begin, std::min(kChunk, size - begin), lanes)) return;
    std::size_t known = first_bad_chunk.load();
    while (chunk < known && !first_bad_chunk.compare_exchange_weak(known, chunk)) {
    }
  });
  if (first_bad_chunk == SIZE_MAX) return std::nullopt;
  for (std::size_t offset = first_bad_chunk * kChunk;; offset += element) {
    CHARM_CHECK(offset < size, "a chunk with a non-finite value has none");
    if (has_non_finite(bytes + offset, element, lanes))
      return static_cast<std::int64_t>(offset / element);
  }
}

}  // namespace charm::engine
