#include "charm/storage/foreign_formats.h"

#include <string>

#include "charm/base/error.h"
#include "charm/base/strings.h"

namespace charm::storage {
namespace {

using namespace std::string_view_literals;

struct Format {
  std::size_t offset = 0;
  std::string_view mark;
  std::string_view name;
  std::string_view advice;
};

constexpr std::string_view kWriteRows = "write its rows as Parquet or JSON lines";

constexpr Format kFormats[] = {
    {0, "\x28\xB5\x2F\xFD"sv, "compressed with Zstandard", "unpack it with zstd -d, or use gzip"},
    {0, "BZh"sv, "compressed with bzip2", "unpack it with bunzip2, or use gzip"},
    {0,
     "\xFD"
     "7zXZ\0"sv,
     "compressed with xz", "unpack it with unxz, or use gzip"},
    {0, "\x04\x22\x4D\x18"sv, "compressed with LZ4", "unpack it with lz4 -d, or use gzip"},
    {0, "PK\x03\x04"sv, "a zip archive or a spreadsheet", "unpack it, or save the sheet as CSV"},
    {257, "ustar"sv, "a tar archive", "unpack it"},
    {0, "Obj\x01"sv, "an Avro file", kWriteRows},
    {0, "ORC"sv, "an ORC file", kWriteRows},
    {0, "FEA1"sv, "a Feather file of version 1",
     "write version 2: pyarrow.feather.write_feather(table, path)"},
    {0, "PARE"sv, "an encrypted Parquet file", "write it without encryption"},
    {0, "SQLite format 3"sv, "an SQLite database", kWriteRows},
    {8, "DUCK"sv, "a DuckDB database", "write a table as Parquet: COPY t TO 'FILE.parquet'"},
    {0, "\x89HDF"sv, "an HDF5 file", kWriteRows},
    {0, "\x80\x04\x95"sv, "a pickle (a program, not data)", kWriteRows},
    {0, "\x80\x05\x95"sv, "a pickle (a program, not data)", kWriteRows},
    {0, "\xFF\xFE\0\0"sv, "text in UTF-32", "write it as UTF-8: iconv -f UTF-32 -t UTF-8"},
    {0, "\xFF\xFE"sv, "text in UTF-16", "write it as UTF-8: iconv -f UTF-16 -t UTF-8"},
    {0, "\xFE\xFF"sv, "text in UTF-16", "write it as UTF-8: iconv -f UTF-16 -t UTF-8"},
    {0, "<!doctype html"sv, "a web page", "perhaps a page about an error was downloaded instead"},
    {0, "<html"sv, "a web page", "perhaps a page about an error was downloaded instead"},
    {0, "<table"sv, "a table in HTML", kWriteRows},
    {0, "<?xml"sv, "an XML file", kWriteRows}};

}  // namespace

void refuse_foreign_format(std::string_view head, std::string_view file) {
  const std::string lower = lower_ascii(head.substr(0, kFormatHeadBytes));
  for (const Format& format : kFormats) {
    const std::string_view text = format.mark.starts_with('<') ? std::string_view(lower) : head;
    if (text.size() < format.offset || !text.substr(format.offset).starts_with(format.mark))
      continue;
    throw Error(ErrorKind::kInput, "{}: is {}, which is not read; {}", file, format.name,
                format.advice);
  }
}

}  // namespace charm::storage
