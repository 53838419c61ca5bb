#pragma once

#include <cstdint>
#include <memory>

namespace charm::kernels {

/// Memory for much data, uninitialised, in the system's large pages where it has them: fewer page
/// faults and address look-ups.
class BigBuffer {
 public:
  BigBuffer() = default;
  explicit BigBuffer(std::size_t words);

  std::uint32_t* data() { return words_.get(); }
  const std::uint32_t* data() const { return words_.get(); }
  std::size_t size() const { return size_; }

 private:
  struct Free {
    void operator()(std::uint32_t* memory) const;
  };
  std::unique_ptr<std::uint32_t[], Free> words_;
  std::size_t size_ = 0;
};

}  // namespace charm::kernels
