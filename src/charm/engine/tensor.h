#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "charm/kernels/kernels.h"

namespace charm::engine {

using kernels::BFloat16;

/// The bits of a float16.
struct Float16 {
  std::uint16_t bits;
};

/// Element types of stored tensors. A model computes in float32 or bfloat16; the others are read
/// and written.
enum class DType : std::uint8_t {
  kFloat64,
  kFloat32,
  kFloat16,
  kBFloat16,
  kInt64,
  kInt32,
  kInt16,
  kInt8,
  kUInt8,
  kBool,
  kFloat8E4M3,
  kFloat8E5M2,
};

std::size_t element_bytes(DType dtype);
std::string_view dtype_name(DType dtype);  ///< "float32", "bfloat16", ...

template <typename Element>
constexpr DType dtype_of();
template <>
constexpr DType dtype_of<double>() {
  return DType::kFloat64;
}
template <>
constexpr DType dtype_of<float>() {
  return DType::kFloat32;
}
template <>
constexpr DType dtype_of<Float16>() {
  return DType::kFloat16;
}
template <>
constexpr DType dtype_of<BFloat16>() {
  return DType::kBFloat16;
}
template <>
constexpr DType dtype_of<std::int64_t>() {
  return DType::kInt64;
}
template <>
constexpr DType dtype_of<std::int32_t>() {
  return DType::kInt32;
}
template <>
constexpr DType dtype_of<std::uint8_t>() {
  return DType::kUInt8;
}

/// A contiguous, row-major array with a shape and an element type, and nothing else: arithmetic is
/// in kernels/. Copies share the elements, as do `narrow` and `view`; `clone` copies them. The
/// memory is 64-byte aligned, or somebody else's (a memory-mapped file). A default-constructed
/// tensor is undefined: an absent bias, norm or head. Concurrent reads are safe.
class Tensor {
 public:
  using Shape = std::vector<std::int64_t>;

  Tensor() = default;
  static Tensor empty(Shape shape, DType dtype);  ///< uninitialised
  static Tensor zeros(Shape shape, DType dtype);
  /// Elements that `owner` keeps alive. Those of a mapped file must not be written.
  static Tensor over(std::shared_ptr<const void> owner, const void* elements, Shape shape,
                     DType dtype);
  /// A copy of `values`.
  template <typename Element>
  static Tensor of(const std::vector<Element>& values, Shape shape);
  template <typename Element>
  static Tensor of(const std::vector<Element>& values) {
    return of(values, {static_cast<std::int64_t>(values.size())});
  }

  bool defined() const { return bytes_ != nullptr; }
  DType dtype() const { return dtype_; }
  const Shape& shape() const { return shape_; }
  std::int64_t size(std::size_t dimension) const { return shape_.at(dimension); }
  std::int64_t rows() const { return shape_.at(0); }
  std::int64_t cols() const { return shape_.at(1); }
  std::int64_t numel() const;
  std::size_t nbytes() const { return static_cast<std::size_t>(numel()) * element_bytes(dtype_); }

  /// The elements; `Element` must be the tensor's type.
  template <typename Element>
  const Element* data() const {
    check_type(dtype_of<Element>());
    return reinterpret_cast<const Element*>(bytes_);
  }
  template <typename Element>
  Element* mutable_data() {
    check_type(dtype_of<Element>());
    return reinterpret_cast<Element*>(bytes_);
  }
  const std::byte* bytes() const { return bytes_; }
  std::byte* mutable_bytes() { return bytes_; }

  /// Rows `begin` .. `begin + count` of the first dimension; shares the elements.
  Tensor narrow(std::int64_t begin, std::int64_t count) const;
  /// The same elements in another shape.
  Tensor view(Shape shape) const;

  Tensor clone() const;
  /// The elements as another floating-point type, rounded to nearest even; itself where it has that
  /// type already.
  Tensor to(DType dtype) const;
  /// The transpose of a matrix.
  Tensor transposed() const;
  /// Copies the elements of a tensor of the same number of elements, converting them.
  void copy_from(const Tensor& source);

 private:
  void check_type(DType dtype) const;

  std::shared_ptr<const void> owner_;
  std::byte* bytes_ = nullptr;
  Shape shape_;
  DType dtype_ = DType::kFloat32;
};

template <typename Element>
Tensor Tensor::of(const std::vector<Element>& values, Shape shape) {
  Tensor source =
      over(nullptr, values.data(), {static_cast<std::int64_t>(values.size())}, dtype_of<Element>());
  Tensor result = empty(std::move(shape), dtype_of<Element>());
  result.copy_from(source);
  return result;
}

/// Calls body(float{}) or body(BFloat16{}) by the tensor's type; a model computes in no other.
template <typename Body>
void call_for_dtype(const Tensor& tensor, const Body& body) {
  if (tensor.dtype() == DType::kBFloat16) {
    body(BFloat16{});
  } else {
    (void)tensor.data<float>();  // fails for any other type
    body(float{});
  }
}

/// The elements, null for an undefined tensor: absent biases.
template <typename Element>
const Element* data_or_null(const Tensor& tensor) {
  return tensor.defined() ? tensor.data<Element>() : nullptr;
}

/// Flat index of the first NaN or infinite element of a float32, float16 or bfloat16
/// tensor; empty when all are finite. Runs at memory bandwidth.
std::optional<std::int64_t> find_non_finite(const Tensor& values);

}  // namespace charm::engine
