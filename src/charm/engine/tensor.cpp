#include "charm/engine/tensor.h"

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstring>
#include <limits>
#include <new>
#include <optional>

#include "charm/base/check.h"
#include "charm/base/error.h"
#include "charm/base/parallel.h"
#include "charm/kernels/thread_pool.h"

namespace charm::engine {
namespace {

struct DTypeEntry {
  std::string_view name;
  std::size_t bytes;
};
// In the order of DType.
constexpr DTypeEntry kDTypes[] = {{"float64", 8},  {"float32", 4},       {"float16", 2},
                                  {"bfloat16", 2}, {"int64", 8},         {"int32", 4},
                                  {"int16", 2},    {"int8", 1},          {"uint8", 1},
                                  {"bool", 1},     {"float8_e4m3fn", 1}, {"float8_e5m2", 1}};

constexpr std::align_val_t kAlignment{64};

/// Elements per task of a conversion.
constexpr std::int64_t kGrain = std::int64_t{1} << 16;

std::int64_t count_of(const Tensor::Shape& shape) {
  std::int64_t count = 1;
  for (const std::int64_t extent : shape) count *= extent;
  return count;
}

float to_float(float value) { return value; }
float to_float(double value) { return static_cast<float>(value); }
float to_float(BFloat16 value) { return kernels::widened(value); }

/// The exponent's bias differs by 112; the product is exact, subnormals included.
float to_float(Float16 value) {
  const std::uint32_t magnitude = std::uint32_t{value.bits & 0x7fffu} << 13;
  const std::uint32_t special = magnitude >= 0x0f800000u ? 0x7f800000u : 0u;  // infinity, NaN
  const auto scaled = std::bit_cast<std::uint32_t>(std::bit_cast<float>(magnitude) * 0x1p112f);
  return std::bit_cast<float>(scaled | special | std::uint32_t{value.bits & 0x8000u} << 16);
}

void from_float(float value, float& to) { to = value; }
void from_float(float value, double& to) { to = value; }
void from_float(float value, BFloat16& to) { kernels::narrow_to(value, to); }
void from_float(float value, Float16& to) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  const std::uint32_t sign = bits >> 16 & 0x8000u, magnitude = bits & 0x7fffffffu;
  std::uint32_t half;
  if (magnitude > 0x7f800000u) {
    half = 0x7e00u;  // NaN
  } else if (magnitude >= 0x477ff000u) {
    half = 0x7c00u;  // rounds to more than the largest float16
  } else if (magnitude < 0x38800000u) {
    // Subnormal: adding 0.5 leaves the float16's bits at the end of the sum, rounded.
    half = std::bit_cast<std::uint32_t>(std::bit_cast<float>(magnitude) + 0.5f) - 0x3f000000u;
  } else {
    half = (magnitude - 0x38000000u + 0xfffu + (magnitude >> 13 & 1u)) >> 13;
  }
  to.bits = static_cast<std::uint16_t>(sign | half);
}

template <typename From, typename To>
void convert(const std::byte* from_bytes, std::byte* to_bytes, std::int64_t count) {
  const auto* from = reinterpret_cast<const From*>(from_bytes);
  auto* to = reinterpret_cast<To*>(to_bytes);
  kernels::parallel_for_ranges(count, kGrain, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) from_float(to_float(from[i]), to[i]);
  });
}

/// Calls body(Element{}) for the floating-point types that weights have.
template <typename Body>
void call_for_float(DType dtype, const Body& body) {
  switch (dtype) {
    case DType::kFloat64:
      return body(double{});
    case DType::kFloat32:
      return body(float{});
    case DType::kFloat16:
      return body(Float16{});
    case DType::kBFloat16:
      return body(BFloat16{});
    default:
      break;
  }
  throw Error(ErrorKind::kInternal, "{} is no floating-point type that is converted",
              dtype_name(dtype));
}

void copy_bytes(const std::byte* from, std::byte* to, std::size_t bytes) {
  kernels::parallel_for_ranges(static_cast<std::int64_t>(bytes), std::int64_t{4} * kGrain,
                               [&](std::int64_t begin, std::int64_t end) {
                                 std::memcpy(to + begin, from + begin,
                                             static_cast<std::size_t>(end - begin));
                               });
}

}  // namespace

std::size_t element_bytes(DType dtype) { return kDTypes[static_cast<std::size_t>(dtype)].bytes; }
std::string_view dtype_name(DType dtype) { return kDTypes[static_cast<std::size_t>(dtype)].name; }

Tensor Tensor::empty(Shape shape, DType dtype) {
  Tensor tensor;
  const std::size_t bytes = static_cast<std::size_t>(count_of(shape)) * element_bytes(dtype);
  tensor.shape_ = std::move(shape);
  tensor.dtype_ = dtype;
  void* memory = ::operator new(std::max<std::size_t>(bytes, 1), kAlignment, std::nothrow);
  if (memory == nullptr) {
    throw Error(ErrorKind::kResource, "cannot allocate {:.3f} MiB for a tensor: out of memory",
                static_cast<double>(bytes) / (1 << 20));
  }
  tensor.bytes_ = static_cast<std::byte*>(memory);
  tensor.owner_ = std::shared_ptr<const void>(
      memory, [](const void* p) { ::operator delete(const_cast<void*>(p), kAlignment); });
  return tensor;
}

Tensor Tensor::zeros(Shape shape, DType dtype) {
  Tensor tensor = empty(std::move(shape), dtype);
  std::memset(tensor.bytes_, 0, tensor.nbytes());
  return tensor;
}

Tensor Tensor::over(std::shared_ptr<const void> owner, const void* elements, Shape shape,
                    DType dtype) {
  Tensor tensor;
  tensor.owner_ = std::move(owner);
  tensor.bytes_ = static_cast<std::byte*>(const_cast<void*>(elements));
  tensor.shape_ = std::move(shape);
  tensor.dtype_ = dtype;
  return tensor;
}

std::int64_t Tensor::numel() const { return defined() ? count_of(shape_) : 0; }

void Tensor::check_type(DType dtype) const {
  CHARM_CHECK(defined(), "an undefined tensor has no elements");
  CHARM_CHECK(dtype == dtype_, "a tensor of {} is used as one of {}", dtype_name(dtype_),
              dtype_name(dtype));
}

Tensor Tensor::narrow(std::int64_t begin, std::int64_t count) const {
  CHARM_CHECK(begin >= 0 && count >= 0 && begin + count <= rows(), "rows {} .. {} of {}", begin,
              begin + count, rows());
  Tensor part = *this;
  const std::int64_t row = rows() == 0 ? 0 : numel() / rows();
  part.bytes_ += static_cast<std::size_t>(begin * row) * element_bytes(dtype_);
  part.shape_.front() = count;
  return part;
}

Tensor Tensor::view(Shape shape) const {
  CHARM_CHECK(count_of(shape) == numel(), "a tensor of {} elements seen as one of {}", numel(),
              count_of(shape));
  Tensor same = *this;
  same.shape_ = std::move(shape);
  return same;
}

Tensor Tensor::clone() const {
  Tensor copy = empty(shape_, dtype_);
  copy.copy_from(*this);
  return copy;
}

Tensor Tensor::to(DType dtype) const {
  if (dtype == dtype_) return *this;
  Tensor converted = empty(shape_, dtype);
  converted.copy_from(*this);
  return converted;
}

Tensor Tensor::transposed() const {
  CHARM_CHECK(shape_.size() == 2, "only matrices are transposed");
  Tensor result = empty({cols(), rows()}, dtype_);
  const std::size_t bytes = element_bytes(dtype_);
  for (std::int64_t r = 0; r < rows(); ++r) {
    for (std::int64_t c = 0; c < cols(); ++c) {
      std::memcpy(result.bytes_ + static_cast<std::size_t>(c * rows() + r) * bytes,
                  bytes_ + static_cast<std::size_t>(r * cols() + c) * bytes, bytes);
    }
  }
  return result;
}

void Tensor::copy_from(const Tensor& source) {
  CHARM_CHECK(source.numel() == numel(), "{} elements copied to {}", source.numel(), numel());
  if (source.dtype_ == dtype_) return copy_bytes(source.bytes_, bytes_, nbytes());
  call_for_float(source.dtype_, [&](auto from) {
    call_for_float(dtype_, [&](auto to) {
      convert<decltype(from), decltype(to)>(source.bytes_, bytes_, numel());
    });
  });
}

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
