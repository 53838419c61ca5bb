#include "charm/engine/safetensors.h"

#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>

#include "charm/base/error.h"
#include "charm/base/files.h"
#include "charm/base/parse_json.h"

namespace charm::engine {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

// The limit of the reference implementation (safetensors 0.5, MAX_HEADER_SIZE).
constexpr std::uint64_t kMaxHeaderBytes = 100'000'000;

struct DtypeName {
  std::string_view name;
  DType dtype;
};
constexpr DtypeName kDtypeNames[] = {
    {"F64", DType::kFloat64},        {"F32", DType::kFloat32},
    {"F16", DType::kFloat16},        {"BF16", DType::kBFloat16},
    {"I64", DType::kInt64},          {"I32", DType::kInt32},
    {"I16", DType::kInt16},          {"I8", DType::kInt8},
    {"U8", DType::kUInt8},           {"BOOL", DType::kBool},
    {"F8_E4M3", DType::kFloat8E4M3}, {"F8_E5M2", DType::kFloat8E5M2},
};

std::uint64_t read_little_endian(const std::byte* bytes) {
  std::uint64_t value = 0;
  for (int i = 7; i >= 0; --i) value = value << 8 | static_cast<std::uint64_t>(bytes[i]);
  return value;
}

/// Parses the header. JSON parsers keep the last of duplicate keys, so keys are collected while
/// parsing.
json parse_header(std::string_view text, const std::string& file) {
  if (nests_deeper_than(text, kMaxJsonDepth)) {
    throw Error(ErrorKind::kInput,
                "{}: the header's brackets nest deeper than {} levels: the file is corrupt or no "
                "safetensors file",
                file, kMaxJsonDepth);
  }
  std::set<std::string> names;
  const auto on_event = [&](int depth, json::parse_event_t event, json& parsed) {
    if (event == json::parse_event_t::key && depth == 1 &&
        !names.insert(parsed.get<std::string>()).second) {
      throw Error(ErrorKind::kInput, "{}: tensor '{}' is named twice in the header", file,
                  parsed.get<std::string>());
    }
    return true;
  };
  json header;
  try {
    header = json::parse(text, on_event);
  } catch (const json::exception& error) {
    throw Error(ErrorKind::kInput,
                "{}: the header is not JSON ({}): the file is corrupt or no safetensors file", file,
                error.what());
  }
  if (!header.is_object()) {
    throw Error(ErrorKind::kInput, "{}: the header is a JSON {}, expected an object", file,
                header.type_name());
  }
  return header;
}

std::uint64_t natural_number(const json& value, const std::string& file, const std::string& tensor,
                             std::string_view what) {
  if (!value.is_number_unsigned()) {
    throw Error(ErrorKind::kInput, "{}: tensor '{}': {} is {}, expected a natural number", file,
                tensor, what, value.dump());
  }
  return value.get<std::uint64_t>();
}

/// Product of the shape times the element size; throws where it does not fit 63 bits, even when
/// another extent is 0: strides multiply those too.
std::uint64_t byte_count(const std::vector<std::int64_t>& shape, std::uint64_t element_bytes,
                         const std::string& file, const std::string& tensor) {
  constexpr std::uint64_t kMax = std::numeric_limits<std::int64_t>::max();
  std::uint64_t bytes = element_bytes;
  bool empty = false;
  for (const std::int64_t extent : shape) {
    empty = empty || extent == 0;
    const auto size = static_cast<std::uint64_t>(std::max<std::int64_t>(extent, 1));
    if (bytes > kMax / size) {
      throw Error(ErrorKind::kInput,
                  "{}: tensor '{}': its shape has more elements than a file can hold", file,
                  tensor);
    }
    bytes *= size;
  }
  return empty ? 0 : bytes;
}

TensorInfo parse_tensor(const json& entry, std::uint64_t data_bytes, const std::string& file,
                        const std::string& name) {
  if (!entry.is_object() || !entry.contains("dtype") || !entry.contains("shape") ||
      !entry.contains("data_offsets")) {
    throw Error(ErrorKind::kInput,
                "{}: tensor '{}': the header entry needs dtype, shape and data_offsets", file,
                name);
  }
  TensorInfo info;
  const json& dtype = entry["dtype"];
  const auto known = dtype.is_string() ? dtype_of_name(dtype.get<std::string>()) : std::nullopt;
  if (!known) {
    throw Error(
        ErrorKind::kInput,
        "{}: tensor '{}': unknown dtype {}, expected F32, F16, BF16 or another of the format's",
        file, name, dtype.dump());
  }
  info.dtype = *known;

  if (!entry["shape"].is_array()) {
    throw Error(ErrorKind::kInput, "{}: tensor '{}': shape is {}, expected a list", file, name,
                entry["shape"].dump());
  }
  for (const json& extent : entry["shape"]) {
    const std::uint64_t size = natural_number(extent, file, name, "an extent of the shape");
    if (size > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) {
      throw Error(ErrorKind::kInput, "{}: tensor '{}': an extent of the shape is {}, too large",
                  file, name, size);
    }
    info.shape.push_back(static_cast<std::int64_t>(size));
  }

  const json& offsets = entry["data_offsets"];
  if (!offsets.is_array() || offsets.size() != 2) {
    throw Error(ErrorKind::kInput, "{}: tensor '{}': data_offsets is {}, expected [begin, end]",
                file, name, offsets.dump());
  }
  const std::uint64_t begin = natural_number(offsets[0], file, name, "data_offsets[0]");
  const std::uint64_t end = natural_number(offsets[1], file, name, "data_offsets[1]");
  if (begin > end || end > data_bytes) {
    throw Error(ErrorKind::kInput,
                "{}: tensor '{}': data_offsets [{}, {}] lie outside the {} bytes of data: the file "
                "is truncated or corrupt",
                file, name, begin, end, data_bytes);
  }
  const std::uint64_t expected = byte_count(info.shape, element_bytes(info.dtype), file, name);
  if (end - begin != expected) {
    throw Error(ErrorKind::kInput,
                "{}: tensor '{}': data_offsets span {} bytes, but dtype {} and shape [{}] need {}",
                file, name, end - begin, dtype.get<std::string>(), fmt::join(info.shape, ", "),
                expected);
  }
  info.begin = begin;
  info.end = end;
  return info;
}

/// Tensors must cover the data exactly: each byte belongs to one tensor.
void check_cover(const std::map<std::string, TensorInfo>& tensors, std::uint64_t data_bytes,
                 const std::string& file) {
  std::vector<std::pair<const std::string*, const TensorInfo*>> order;
  order.reserve(tensors.size());
  for (const auto& [name, info] : tensors) order.emplace_back(&name, &info);
  std::ranges::sort(
      order, {}, [](const auto& item) { return std::pair(item.second->begin, item.second->end); });
  std::uint64_t position = 0;
  const std::string* previous = nullptr;
  for (const auto& [name, info] : order) {
    if (info->begin < position) {
      throw Error(ErrorKind::kInput,
                  "{}: tensors '{}' and '{}' overlap: the second begins at byte {}, expected {}",
                  file, *previous, *name, info->begin, position);
    }
    if (info->begin > position) {
      throw Error(ErrorKind::kInput, "{}: {} bytes before tensor '{}' belong to no tensor", file,
                  info->begin - position, *name);
    }
    position = info->end;
    previous = name;
  }
  if (position != data_bytes) {
    throw Error(ErrorKind::kInput,
                "{}: {} bytes after the last tensor belong to no tensor: expected {} bytes of "
                "data, found {}",
                file, data_bytes - position, position, data_bytes);
  }
}

}  // namespace

std::optional<DType> dtype_of_name(std::string_view name) {
  for (const DtypeName& entry : kDtypeNames) {
    if (entry.name == name) return entry.dtype;
  }
  return std::nullopt;
}

std::string safetensors_dtype_name(DType dtype) {
  for (const DtypeName& entry : kDtypeNames) {
    if (entry.dtype == dtype) return std::string(entry.name);
  }
  throw Error(ErrorKind::kInternal, "safetensors has no dtype for {}", dtype_name(dtype));
}

SafetensorsFile::SafetensorsFile(const fs::path& path) : WeightsFile(path) {
  const std::string file = path.string();
  refuse_lfs_pointer({reinterpret_cast<const char*>(file_->data()), file_->size()}, file);
  if (file_->size() < 8) {
    throw Error(ErrorKind::kInput,
                "{}: {} bytes, expected at least the 8 of a safetensors header length: the file is "
                "truncated",
                file, file_->size());
  }
  const std::uint64_t header_bytes = read_little_endian(file_->data());
  if (header_bytes > kMaxHeaderBytes) {
    throw Error(
        ErrorKind::kInput,
        "{}: header length {}, expected at most {}: the file is corrupt or no safetensors file",
        file, header_bytes, kMaxHeaderBytes);
  }
  if (header_bytes > file_->size() - 8) {
    throw Error(ErrorKind::kInput,
                "{}: header length {}, but the file ends after {} bytes: the file is truncated",
                file, header_bytes, file_->size());
  }
  const std::uint64_t data_begin = 8 + header_bytes;
  const std::uint64_t data_bytes = file_->size() - data_begin;
  const json header =
      parse_header({reinterpret_cast<const char*>(file_->data()) + 8, header_bytes}, file);
  for (const auto& [name, entry] : header.items()) {
    if (name != "__metadata__") {
      tensors_.emplace(name, parse_tensor(entry, data_bytes, file, name));
      continue;
    }
    if (!entry.is_object())
      throw Error(ErrorKind::kInput, "{}: __metadata__ is not an object", file);
    for (const auto& [key, value] : entry.items()) {
      if (!value.is_string())
        throw Error(ErrorKind::kInput, "{}: __metadata__ '{}' is not a string", file, key);
      metadata_.emplace(key, value.get<std::string>());
    }
  }
  check_cover(tensors_, data_bytes, file);
  for (auto& [name, info] : tensors_) {
    info.begin += data_begin;
    info.end += data_begin;
  }
}

}  // namespace charm::engine
