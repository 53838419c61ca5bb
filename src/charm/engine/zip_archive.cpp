#include <algorithm>
#include <cstdint>
#include <limits>
#include <string_view>

#include "charm/base/error.h"
#include "charm/engine/torch_file.h"

namespace charm::engine {
namespace {

constexpr std::string_view kEndMark("PK\x05\x06", 4);
constexpr std::string_view kEnd64Mark("PK\x06\x06", 4);
constexpr std::string_view kEnd64LocatorMark("PK\x06\x07", 4);
constexpr std::string_view kCentralMark("PK\x01\x02", 4);
constexpr std::string_view kLocalMark("PK\x03\x04", 4);
constexpr std::size_t kEndBytes = 22, kLocatorBytes = 20, kEnd64Bytes = 56, kCentralBytes = 46,
                      kLocalBytes = 30;
constexpr std::uint64_t kIn64 = 0xffffffff;  // the value stands in a zip64 record

/// Little-endian fields at checked places of the archive.
class Fields {
 public:
  Fields(std::string_view archive, const std::string& file) : archive_(archive), file_(file) {}

  /// `size` bytes at `begin`.
  std::string_view at(std::uint64_t begin, std::uint64_t size, std::string_view what) const {
    if (begin > archive_.size() || size > archive_.size() - begin) {
      throw Error(ErrorKind::kInput,
                  "{}: {} needs bytes {} to {}, but the file has {}: it is truncated or corrupt",
                  file_, what, begin, begin + size, archive_.size());
    }
    return archive_.substr(begin, size);
  }

  static std::uint64_t number(std::string_view bytes, std::size_t begin, std::size_t size) {
    std::uint64_t value = 0;
    for (std::size_t i = size; i-- > 0;)
      value = value << 8 | static_cast<unsigned char>(bytes[begin + i]);
    return value;
  }

  [[noreturn]] void corrupt(std::string_view what) const {
    throw Error(ErrorKind::kInput, "{}: {}: the zip archive is corrupt", file_, what);
  }

  std::string_view archive() const { return archive_; }
  const std::string& file() const { return file_; }

 private:
  std::string_view archive_;
  const std::string& file_;
};

/// Where the central directory lies and how many entries it has.
struct Directory {
  std::uint64_t begin = 0;
  std::uint64_t num_entries = 0;
};

Directory find_directory(const Fields& fields) {
  const std::string_view archive = fields.archive();
  // The end record is last; a comment of up to 64 KiB may follow it.
  constexpr std::size_t kMaxComment = 65535;
  const std::size_t first =
      archive.size() > kEndBytes + kMaxComment ? archive.size() - kEndBytes - kMaxComment : 0;
  const std::size_t end = archive.substr(first).rfind(kEndMark);
  if (end == std::string_view::npos || archive.size() - first - end < kEndBytes) {
    throw Error(ErrorKind::kInput,
                "{}: has no central directory at its end: the zip archive is truncated; copy or "
                "download the file again",
                fields.file());
  }
  const std::uint64_t place = first + end;
  const std::string_view record = archive.substr(place, kEndBytes);
  Directory directory{.begin = Fields::number(record, 16, 4),
                      .num_entries = Fields::number(record, 10, 2)};
  const bool is_64 = directory.begin == kIn64 || directory.num_entries == 0xffff;
  if (is_64 && place >= kLocatorBytes) {
    const std::string_view locator = archive.substr(place - kLocatorBytes, kLocatorBytes);
    if (!locator.starts_with(kEnd64LocatorMark)) return directory;
    const std::string_view record64 =
        fields.at(Fields::number(locator, 8, 8), kEnd64Bytes, "the zip64 end record");
    if (!record64.starts_with(kEnd64Mark)) fields.corrupt("the zip64 end record is missing");
    directory = {.begin = Fields::number(record64, 48, 8),
                 .num_entries = Fields::number(record64, 32, 8)};
  }
  return directory;
}

/// Sizes and offset of an entry, from its record and the zip64 part of its extra field.
struct Place {
  std::uint64_t compressed = 0, size = 0, local = 0;
};

Place read_place(const Fields& fields, std::string_view record, std::string_view extra) {
  Place place{.compressed = Fields::number(record, 20, 4),
              .size = Fields::number(record, 24, 4),
              .local = Fields::number(record, 42, 4)};
  while (extra.size() >= 4) {
    const std::uint64_t id = Fields::number(extra, 0, 2), size = Fields::number(extra, 2, 2);
    if (size > extra.size() - 4) fields.corrupt("an extra field ends outside of its record");
    std::string_view content = extra.substr(4, size);
    extra.remove_prefix(4 + size);
    if (id != 1) continue;
    for (std::uint64_t* value : {&place.size, &place.compressed, &place.local}) {
      if (*value != kIn64) continue;
      if (content.size() < 8) fields.corrupt("a zip64 field is too short");
      *value = Fields::number(content, 0, 8);
      content.remove_prefix(8);
    }
  }
  return place;
}

ZipEntry locate(const Fields& fields, const Place& place, const std::string& name) {
  const std::string_view local = fields.at(place.local, kLocalBytes, "entry '" + name + "'");
  if (!local.starts_with(kLocalMark)) fields.corrupt("entry '" + name + "' has no local header");
  const std::uint64_t begin =
      place.local + kLocalBytes + Fields::number(local, 26, 2) + Fields::number(local, 28, 2);
  fields.at(begin, place.size, "entry '" + name + "'");
  return {.begin = begin, .end = begin + place.size};
}

}  // namespace

std::map<std::string, ZipEntry> read_zip_directory(std::string_view archive,
                                                   const std::string& file) {
  const Fields fields(archive, file);
  const Directory directory = find_directory(fields);
  std::map<std::string, ZipEntry> entries;
  std::uint64_t at = directory.begin;
  for (std::uint64_t i = 0; i < directory.num_entries; ++i) {
    const std::string_view record = fields.at(at, kCentralBytes, "the central directory");
    if (!record.starts_with(kCentralMark))
      fields.corrupt("the central directory ends before its last entry");
    const std::uint64_t name_bytes = Fields::number(record, 28, 2),
                        extra_bytes = Fields::number(record, 30, 2),
                        comment_bytes = Fields::number(record, 32, 2);
    const std::string name(fields.at(at + kCentralBytes, name_bytes, "the central directory"));
    const std::string_view extra =
        fields.at(at + kCentralBytes + name_bytes, extra_bytes, "the central directory");
    const Place place = read_place(fields, record, extra);
    if (Fields::number(record, 10, 2) != 0 || place.compressed != place.size) {
      throw Error(ErrorKind::kInput,
                  "{}: entry '{}' is compressed; torch.save stores entries as they are: save the "
                  "file again with it",
                  file, name);
    }
    if ((Fields::number(record, 8, 2) & 1) != 0)
      throw Error(ErrorKind::kInput, "{}: entry '{}' is encrypted", file, name);
    if (!entries.emplace(name, locate(fields, place, name)).second)
      fields.corrupt("entry '" + name + "' occurs twice");
    at += kCentralBytes + name_bytes + extra_bytes + comment_bytes;
  }
  return entries;
}

}  // namespace charm::engine
