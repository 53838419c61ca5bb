#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace charm::testing {

/// A zip archive with stored entries, as torch.save writes it but without alignment.
inline std::string zip_of(const std::vector<std::pair<std::string, std::string>>& entries,
                          int method = 0) {
  const auto number = [](std::uint64_t value, int size) {
    std::string bytes;
    for (int i = 0; i < size; ++i) bytes += static_cast<char>(value >> (8 * i) & 0xff);
    return bytes;
  };
  std::string archive, directory;
  for (const auto& [name, content] : entries) {
    const std::string sizes = number(content.size(), 4) + number(content.size(), 4) +
                              number(name.size(), 2) + number(0, 2);
    const std::string common = number(20, 2) + number(0, 2) +
                               number(static_cast<std::uint64_t>(method), 2) + number(0, 4) +
                               number(0, 4) + sizes;
    directory += "PK\x01\x02" + number(20, 2) + common + number(0, 2) + number(0, 2) +
                 number(0, 2) + number(0, 4) + number(archive.size(), 4) + name;
    archive += "PK\x03\x04" + common + name + content;
  }
  const std::uint64_t begin = archive.size();
  return archive + directory + "PK\x05\x06" + number(0, 4) + number(entries.size(), 2) +
         number(entries.size(), 2) + number(directory.size(), 4) + number(begin, 4) + number(0, 2);
}

/// The pickle of {"w": tensor} as torch.save writes it, protocol 2.
/// @param storage  element class, "torch FloatStorage"
inline std::string tensor_pickle(std::string_view storage, int num_elements, int offset,
                                 const std::vector<int>& size, const std::vector<int>& stride) {
  const auto text = [](std::string_view value) {
    return "X" + std::string(1, static_cast<char>(value.size())) + std::string(3, '\0') +
           std::string(value);
  };
  const auto integer = [](int value) {
    std::string bytes = "J";
    for (int i = 0; i < 4; ++i)
      bytes += static_cast<char>(static_cast<std::uint32_t>(value) >> (8 * i) & 0xff);
    return bytes;
  };
  const auto tuple = [&](const std::vector<int>& values) {
    std::string bytes = "(";
    for (const int value : values) bytes += integer(value);
    return bytes + "t";
  };
  const auto global = [](std::string_view name) {
    std::string line(name);
    line.replace(line.find(' '), 1, "\n");
    return "c" + line + "\n";
  };
  return "\x80\x02}(" + text("w") + global("torch._utils _rebuild_tensor_v2") + "((" +
         text("storage") + global(storage) + text("0") + text("cpu") + integer(num_elements) +
         "tQ" + integer(offset) + tuple(size) + tuple(stride) + "\x89" +
         global("collections OrderedDict") + ")RtRu.";
}

}  // namespace charm::testing
