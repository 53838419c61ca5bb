#include "charm/engine/torch_file.h"

#include <algorithm>
#include <cstring>
#include <optional>
#include <set>
#include <string_view>
#include <utility>

#include "charm/base/error.h"
#include "charm/base/files.h"
#include "charm/engine/safetensors.h"

namespace charm::engine {
namespace {

using Kind = PickleValue::Kind;

constexpr std::string_view kRebuildTensor = "torch._utils._rebuild_tensor_v2";
constexpr std::string_view kRebuildParameter = "torch._utils._rebuild_parameter";
constexpr std::string_view kFunctions[] = {kRebuildTensor, kRebuildParameter};

struct StorageClass {
  std::string_view name;
  DType dtype;
};
constexpr StorageClass kStorages[] = {
    {"torch.FloatStorage", DType::kFloat32},     {"torch.HalfStorage", DType::kFloat16},
    {"torch.BFloat16Storage", DType::kBFloat16}, {"torch.DoubleStorage", DType::kFloat64},
    {"torch.LongStorage", DType::kInt64},        {"torch.IntStorage", DType::kInt32},
    {"torch.ShortStorage", DType::kInt16},       {"torch.CharStorage", DType::kInt8},
    {"torch.ByteStorage", DType::kUInt8},        {"torch.BoolStorage", DType::kBool}};
constexpr std::string_view kClasses[] = {
    kStorages[0].name, kStorages[1].name, kStorages[2].name, kStorages[3].name, kStorages[4].name,
    kStorages[5].name, kStorages[6].name, kStorages[7].name, kStorages[8].name, kStorages[9].name};

// The first bytes of files of torch.save before 1.6: the pickle of its magic number.
constexpr std::string_view kLegacyStart("\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19",
                                        14);
// Many times the pickle of any published model.
constexpr std::size_t kMaxPickleBytes = std::size_t{16} << 20;

std::string_view kind_name(Kind kind) {
  switch (kind) {
    case Kind::kNone:
      return "None";
    case Kind::kBool:
      return "a bool";
    case Kind::kInteger:
      return "a number";
    case Kind::kText:
      return "a text";
    case Kind::kTuple:
      return "a tuple";
    case Kind::kList:
      return "a list";
    case Kind::kDict:
      return "a dict";
    case Kind::kGlobal:
      return "a class";
    case Kind::kCall:
      return "an object";
    case Kind::kPersistent:
      return "a storage";
  }
  return "";
}

void refuse_other_formats(std::string_view bytes, const std::string& file) {
  refuse_lfs_pointer(bytes, file);
  if (bytes.starts_with(kLegacyStart)) {
    throw Error(ErrorKind::kInput,
                "{}: is in the format of torch.save before PyTorch 1.6, which is not read; save it "
                "again: python -c \"import torch; torch.save(torch.load('{}', map_location='cpu', "
                "weights_only=True), '{}')\"",
                file, file, file);
  }
  if (!bytes.starts_with("PK")) {
    throw Error(ErrorKind::kInput,
                "{}: is no file of torch.save (PyTorch 1.6 or later), a zip archive that begins "
                "with 'PK'",
                file);
  }
}

/// The entries of the archive below its one folder.
class Archive {
 public:
  Archive(std::string_view bytes, const std::string& file)
      : bytes_(bytes), file_(file), entries_(read_zip_directory(bytes, file)) {
    constexpr std::string_view kPickle = "/data.pkl";
    for (const auto& [name, entry] : entries_) {
      if (name.ends_with(kPickle) && name.find('/') == name.size() - kPickle.size())
        root_ = name.substr(0, name.size() - kPickle.size() + 1);
    }
    if (root_.empty()) {
      throw Error(ErrorKind::kInput, "{}: the zip archive has no data.pkl: no file of torch.save",
                  file);
    }
    const std::string_view order = text("byteorder");
    if (!order.empty() && order != "little") {
      throw Error(ErrorKind::kInput, "{}: its byte order is '{}', expected 'little'", file, order);
    }
  }

  std::optional<ZipEntry> find(const std::string& name) const {
    const auto found = entries_.find(root_ + name);
    return found == entries_.end() ? std::nullopt : std::optional(found->second);
  }

  /// Empty where there is none.
  std::string_view text(const std::string& name) const {
    const auto entry = find(name);
    return entry ? bytes_.substr(entry->begin, entry->end - entry->begin) : std::string_view();
  }

 private:
  std::string_view bytes_;
  const std::string& file_;
  std::map<std::string, ZipEntry> entries_;
  std::string root_;
};

/// Turns the objects of the pickle into tensors.
class Tensors {
 public:
  Tensors(const Archive& archive, const Pickle& pickle, const std::string& file)
      : archive_(archive), pickle_(pickle), file_(file) {}

  std::map<std::string, TensorInfo> read() const {
    const PickleValue& root = value(pickle_.root);
    if (root.kind != Kind::kDict) {
      throw Error(ErrorKind::kInput, "{}: holds {}, expected a dict from names to tensors", file_,
                  kind_name(root.kind));
    }
    std::map<std::string, TensorInfo> tensors;
    for (std::size_t i = 0; i + 1 < root.items.size(); i += 2) {
      const PickleValue& key = value(root.items[i]);
      if (key.kind != Kind::kText) {
        throw Error(ErrorKind::kInput, "{}: a key is {}, expected a tensor's name", file_,
                    kind_name(key.kind));
      }
      if (!tensors.emplace(key.text, tensor(key.text, value(root.items[i + 1]))).second)
        throw Error(ErrorKind::kInput, "{}: tensor '{}' is named twice", file_, key.text);
    }
    return tensors;
  }

 private:
  const PickleValue& value(std::uint32_t id) const { return pickle_.values[id]; }

  [[noreturn]] void fail(const std::string& name, std::string_view what) const {
    throw Error(ErrorKind::kInput, "{}: tensor '{}': {}", file_, name, what);
  }

  TensorInfo tensor(const std::string& name, const PickleValue& object) const {
    if (object.kind != Kind::kCall) {
      throw Error(ErrorKind::kInput,
                  "{}: entry '{}' is {}, expected a tensor: this is no model's weights but perhaps "
                  "a training checkpoint; save the model's state_dict() alone",
                  file_, name, kind_name(object.kind));
    }
    if (object.text == kRebuildParameter) {
      if (object.items.empty()) fail(name, "a parameter without a tensor");
      const PickleValue& inner = value(object.items.front());
      if (inner.kind != Kind::kCall || inner.text != kRebuildTensor)
        fail(name, "a parameter without a tensor");
      return tensor(name, inner);
    }
    // storage, storage_offset, size, stride, requires_grad, backward_hooks
    if (object.items.size() < 4) fail(name, "its pickle lacks size or stride");
    TensorInfo info;
    const ZipEntry storage = read_storage(name, value(object.items[0]), info.dtype);
    const std::int64_t offset = integer(name, value(object.items[1]));
    info.shape = integers(name, value(object.items[2]));
    info.strides = integers(name, value(object.items[3]));
    place(name, storage, offset, info);
    return info;
  }

  ZipEntry read_storage(const std::string& name, const PickleValue& object, DType& dtype) const {
    // ("storage", class, key, location, number of elements)
    const PickleValue& id = value(object.kind == Kind::kPersistent ? object.items.front() : 0);
    if (object.kind != Kind::kPersistent || id.kind != Kind::kTuple || id.items.size() < 5)
      fail(name, "it has no storage");
    const PickleValue& what = value(id.items[0]);
    const PickleValue& type = value(id.items[1]);
    const PickleValue& key = value(id.items[2]);
    if (what.text != "storage" || type.kind != Kind::kGlobal || key.kind != Kind::kText)
      fail(name, "its storage is of an unknown form");
    const auto* known = std::find_if(std::begin(kStorages), std::end(kStorages),
                                     [&](const StorageClass& c) { return c.name == type.text; });
    if (known == std::end(kStorages))
      fail(name, fmt::format("its storage is a '{}', expected a torch.*Storage", type.text));
    dtype = known->dtype;
    const auto entry = archive_.find("data/" + key.text);
    if (!entry) {
      fail(name, fmt::format("its storage 'data/{}' is not in the archive; storages in other files "
                             "are refused",
                             key.text));
    }
    const std::int64_t count = integer(name, value(id.items[4]));
    const std::size_t stored = (entry->end - entry->begin) / element_bytes(dtype);
    if (count < 0 || static_cast<std::uint64_t>(count) > stored) {
      fail(name, fmt::format("its storage has {} elements, but 'data/{}' holds {}: the file is "
                             "truncated or corrupt",
                             count, key.text, stored));
    }
    return {entry->begin, entry->begin + static_cast<std::size_t>(count) * element_bytes(dtype)};
  }

  std::int64_t integer(const std::string& name, const PickleValue& object) const {
    if (object.kind != Kind::kInteger)
      fail(name, fmt::format("{} stands where a number is expected", kind_name(object.kind)));
    return object.integer;
  }

  std::vector<std::int64_t> integers(const std::string& name, const PickleValue& object) const {
    if (object.kind != Kind::kTuple) fail(name, "its size or stride is no tuple");
    constexpr std::size_t kMaxDimensions = 64;  // torch's
    if (object.items.size() > kMaxDimensions) fail(name, "it has more than 64 dimensions");
    std::vector<std::int64_t> numbers;
    for (const std::uint32_t item : object.items) numbers.push_back(integer(name, value(item)));
    return numbers;
  }

  /// Checks that the tensor lies inside its storage; sets the bytes from its first element to the
  /// storage's end or, where contiguous, to its own, and drops the strides then.
  void place(const std::string& name, const ZipEntry& storage, std::int64_t offset,
             TensorInfo& info) const {
    const auto element = static_cast<std::int64_t>(element_bytes(info.dtype));
    const auto capacity = static_cast<std::int64_t>(storage.end - storage.begin) / element;
    const auto outside = [&] {
      fail(name, fmt::format(
                     "offset {}, size [{}] and stride [{}] reach beyond its storage of {} elements",
                     offset, fmt::join(info.shape, ", "), fmt::join(info.strides, ", "), capacity));
    };
    if (info.shape.size() != info.strides.size()) fail(name, "size and stride differ in length");
    bool contiguous = true, empty = false;
    std::int64_t last = offset, count = 1;
    for (std::size_t i = info.shape.size(); i-- > 0;) {
      const std::int64_t extent = info.shape[i], stride = info.strides[i];
      if (extent < 0 || stride < 0) fail(name, "a size or stride is negative");
      contiguous = contiguous && (extent == 1 || stride == count);
      empty = empty || extent == 0;
      std::int64_t reach = 0;
      // Elements of an empty tensor are counted as one, as its strides are multiplied too.
      if (__builtin_mul_overflow(std::max<std::int64_t>(extent, 1) - 1, stride, &reach) ||
          __builtin_add_overflow(last, reach, &last) ||
          __builtin_mul_overflow(count, std::max<std::int64_t>(extent, 1), &count))
        outside();
    }
    std::int64_t bytes = 0;
    if (__builtin_mul_overflow(count, element, &bytes)) outside();
    if (offset < 0 || (empty ? offset > capacity : last >= capacity)) outside();
    info.begin = storage.begin + static_cast<std::size_t>(offset * element);
    if (empty || contiguous) info.strides.clear();
    if (empty) bytes = 0;
    info.end = info.strides.empty()
                   ? info.begin + static_cast<std::size_t>(bytes)
                   : storage.begin + static_cast<std::size_t>((last + 1) * element);
  }

  const Archive& archive_;
  const Pickle& pickle_;
  const std::string& file_;
};

}  // namespace

TorchFile::TorchFile(const std::filesystem::path& path) : WeightsFile(path) {
  const std::string file = path.string();
  const std::string_view bytes(reinterpret_cast<const char*>(file_->data()), file_->size());
  refuse_other_formats(bytes, file);
  const Archive archive(bytes, file);
  const std::string_view pickle_bytes = archive.text("data.pkl");
  if (pickle_bytes.size() > kMaxPickleBytes) {
    throw Error(ErrorKind::kInput, "{}: data.pkl has {} bytes, expected at most {}", file,
                pickle_bytes.size(), kMaxPickleBytes);
  }
  const Pickle pickle = read_pickle(pickle_bytes, kFunctions, kClasses, file);
  tensors_ = Tensors(archive, pickle, file).read();
}

}  // namespace charm::engine
