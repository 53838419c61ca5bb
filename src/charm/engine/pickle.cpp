#include <algorithm>
#include <limits>
#include <map>
#include <utility>

#include "charm/base/error.h"
#include "charm/base/strings.h"
#include "charm/engine/torch_file.h"

namespace charm::engine {
namespace {

// Opcodes of CPython's pickletools.
enum Opcode : unsigned char {
  kMark = '(',
  kStop = '.',
  kNone = 'N',
  kNewTrue = 0x88,
  kNewFalse = 0x89,
  kBinInt = 'J',
  kBinInt1 = 'K',
  kBinInt2 = 'M',
  kLong1 = 0x8a,
  kBinUnicode = 'X',
  kShortBinUnicode = 0x8c,
  kBinPut = 'q',
  kLongBinPut = 'r',
  kMemoize = 0x94,
  kBinGet = 'h',
  kLongBinGet = 'j',
  kEmptyTuple = ')',
  kTuple = 't',
  kTuple1 = 0x85,
  kTuple2 = 0x86,
  kTuple3 = 0x87,
  kEmptyList = ']',
  kAppend = 'a',
  kAppends = 'e',
  kEmptyDict = '}',
  kSetItem = 's',
  kSetItems = 'u',
  kGlobal = 'c',
  kStackGlobal = 0x93,
  kReduce = 'R',
  kBuild = 'b',
  kBinPersId = 'Q',
  kProto = 0x80,
  kFrame = 0x95,
};

struct OpcodeName {
  unsigned char code;
  std::string_view name;
};
// Operations that are refused by their names; others by their codes.
constexpr OpcodeName kRefusedNames[] = {{'i', "INST"},
                                        {'o', "OBJ"},
                                        {0x81, "NEWOBJ"},
                                        {0x92, "NEWOBJ_EX"},
                                        {0x82, "EXT1"},
                                        {0x83, "EXT2"},
                                        {0x84, "EXT4"},
                                        {'G', "BINFLOAT"},
                                        {'F', "FLOAT"},
                                        {'I', "INT"},
                                        {'L', "LONG"},
                                        {'P', "PERSID"},
                                        {'S', "STRING"},
                                        {'T', "BINSTRING"},
                                        {'U', "SHORT_BINSTRING"},
                                        {'V', "UNICODE"},
                                        {'B', "BINBYTES"},
                                        {'C', "SHORT_BINBYTES"},
                                        {0x8e, "BINBYTES8"},
                                        {0x96, "BYTEARRAY8"},
                                        {'0', "POP"},
                                        {'1', "POP_MARK"},
                                        {'2', "DUP"},
                                        {'d', "DICT"},
                                        {'l', "LIST"},
                                        {'p', "PUT"},
                                        {'g', "GET"},
                                        {0x8f, "EMPTY_SET"},
                                        {0x90, "ADDITEMS"},
                                        {0x91, "FROZENSET"},
                                        {0x8b, "LONG4"},
                                        {0x8d, "BINUNICODE8"},
                                        {0x97, "NEXT_BUFFER"},
                                        {0x98, "READONLY_BUFFER"}};

constexpr std::string_view kOrderedDict = "collections.OrderedDict";
constexpr std::size_t kMaxValues = 4'000'000;

class Machine {
 public:
  Machine(std::string_view bytes, std::span<const std::string_view> functions,
          std::span<const std::string_view> classes, const std::string& file)
      : bytes_(bytes), functions_(functions), classes_(classes), file_(file) {}

  Pickle run() {
    for (;;) {
      const auto code = static_cast<unsigned char>(take(1).front());
      if (code == kStop) break;
      step(code);
    }
    pickle_.root = pop();
    if (!stack_.empty()) fail("objects are left over at its end");
    return std::move(pickle_);
  }

 private:
  using Kind = PickleValue::Kind;

  [[noreturn]] void fail(std::string_view what) const {
    throw Error(ErrorKind::kInput,
                "{}: the pickle is corrupt at byte {}: {}; copy or download the file again", file_,
                at_, what);
  }

  [[noreturn]] void refuse(std::string_view what) const {
    throw Error(ErrorKind::kInput,
                "{}: the pickle has {}, which a file of tensors does not need, so it is refused: "
                "it may run code where it is loaded; convert the file once with transformers' "
                "save_pretrained, which writes safetensors",
                file_, what);
  }

  [[noreturn]] void refuse_operation(unsigned char code) const {
    for (const OpcodeName& known : kRefusedNames) {
      if (known.code == code) refuse(fmt::format("the operation {}", known.name));
    }
    refuse(fmt::format("an unknown operation (code 0x{:02x})", code));
  }

  std::string_view take(std::uint64_t size) {
    if (size > bytes_.size() - at_) fail("it ends in the middle of an object");
    const std::string_view taken = bytes_.substr(at_, size);
    at_ += size;
    return taken;
  }

  std::uint64_t number(std::size_t size) {
    const std::string_view bytes = take(size);
    std::uint64_t value = 0;
    for (std::size_t i = size; i-- > 0;) value = value << 8 | static_cast<unsigned char>(bytes[i]);
    return value;
  }

  std::string_view line() {
    const std::size_t end = bytes_.find('\n', at_);
    if (end == std::string_view::npos) fail("it ends in the middle of a name");
    const std::string_view text = take(end - at_);
    take(1);
    return text;
  }

  std::uint32_t add(PickleValue value) {
    if (pickle_.values.size() >= kMaxValues) fail("it has more objects than a model has tensors");
    pickle_.values.push_back(std::move(value));
    return static_cast<std::uint32_t>(pickle_.values.size() - 1);
  }

  void push(PickleValue value) { stack_.push_back(add(std::move(value))); }
  void push_integer(std::int64_t value) { push({.kind = Kind::kInteger, .integer = value}); }

  std::uint32_t pop() {
    const std::size_t floor = marks_.empty() ? 0 : marks_.back();
    if (stack_.size() <= floor) fail("an operation lacks its operand");
    const std::uint32_t top = stack_.back();
    stack_.pop_back();
    return top;
  }

  std::vector<std::uint32_t> pop_to_mark() {
    if (marks_.empty()) fail("an operation lacks its mark");
    const auto first = stack_.begin() + static_cast<std::ptrdiff_t>(marks_.back());
    std::vector<std::uint32_t> items(first, stack_.end());
    stack_.erase(first, stack_.end());
    marks_.pop_back();
    return items;
  }

  /// The object on top of the stack, of the given kind.
  PickleValue& top(Kind kind) {
    const std::uint32_t id = pop();
    stack_.push_back(id);
    PickleValue& value = pickle_.values[id];
    if (value.kind != kind) fail("an operation has an operand of another kind");
    return value;
  }

  void push_tuple(std::size_t size) {
    std::vector<std::uint32_t> items(size);
    for (std::size_t i = size; i-- > 0;) items[i] = pop();
    push({.kind = Kind::kTuple, .items = std::move(items)});
  }

  void memoize(std::uint64_t key) {
    const std::uint32_t id = pop();
    stack_.push_back(id);
    memo_[key] = id;
  }

  void recall(std::uint64_t key) {
    const auto found = memo_.find(key);
    if (found == memo_.end()) fail("it refers to an object that it does not have");
    stack_.push_back(found->second);
  }

  void add_items(Kind kind, const std::vector<std::uint32_t>& items) {
    if (kind == Kind::kDict && items.size() % 2 != 0) fail("a key has no value");
    PickleValue& value = top(kind);
    value.items.insert(value.items.end(), items.begin(), items.end());
  }

  void push_global(std::string_view module, std::string_view name) {
    const std::string full = fmt::format("{}.{}", module, name);
    const auto is_in = [&](std::span<const std::string_view> names) {
      return std::find(names.begin(), names.end(), full) != names.end();
    };
    if (full != kOrderedDict && !is_in(functions_) && !is_in(classes_))
      refuse(fmt::format("the class or function '{}'", full));
    push({.kind = Kind::kGlobal, .text = full});
  }

  void reduce() {
    const std::uint32_t arguments = pop(), function = pop();
    if (pickle_.values[arguments].kind != Kind::kTuple ||
        pickle_.values[function].kind != Kind::kGlobal)
      fail("a call has no function or no arguments");
    const std::string name = pickle_.values[function].text;
    std::vector<std::uint32_t> items = pickle_.values[arguments].items;
    if (name == kOrderedDict) {
      if (!items.empty()) refuse("an OrderedDict with arguments");
      return push({.kind = Kind::kDict});
    }
    if (std::find(functions_.begin(), functions_.end(), name) == functions_.end())
      refuse(fmt::format("a call of '{}'", name));
    push({.kind = Kind::kCall, .text = name, .items = std::move(items)});
  }

  void step(unsigned char code) {
    switch (code) {
      case kProto:
        take(1);
        return;
      case kFrame:
        take(8);
        return;
      case kMark:
        return marks_.push_back(stack_.size());
      case kBinPut:
        return memoize(number(1));
      case kLongBinPut:
        return memoize(number(4));
      case kMemoize:
        return memoize(memo_.size());
      case kBinGet:
        return recall(number(1));
      case kLongBinGet:
        return recall(number(4));
      case kReduce:
        return reduce();
      case kBuild:  // attributes of a dict: state_dict()'s _metadata
        pop();
        top(Kind::kDict);
        return;
      case kBinPersId:
        return push({.kind = Kind::kPersistent, .items = {pop()}});
      default:
        return push_object(code);
    }
  }

  void push_object(unsigned char code) {
    switch (code) {
      case kNone:
        return push({.kind = Kind::kNone});
      case kNewTrue:
      case kNewFalse:
        return push({.kind = Kind::kBool, .integer = code == kNewTrue ? 1 : 0});
      case kBinInt:
        return push_integer(static_cast<std::int32_t>(number(4)));
      case kBinInt1:
        return push_integer(static_cast<std::int64_t>(number(1)));
      case kBinInt2:
        return push_integer(static_cast<std::int64_t>(number(2)));
      case kLong1:
        return push_long();
      case kBinUnicode:
        return push_text(take(number(4)));
      case kShortBinUnicode:
        return push_text(take(number(1)));
      case kGlobal: {
        const std::string_view module = line();
        return push_global(module, line());
      }
      case kStackGlobal: {
        const std::uint32_t name = pop(), module = pop();
        return push_global(pickle_.values[module].text, pickle_.values[name].text);
      }
      default:
        return push_container(code);
    }
  }

  void push_text(std::string_view text) {
    if (const auto at = find_invalid_utf8(text))
      fail(fmt::format("a text with invalid UTF-8 at byte {}", *at + 1));
    push({.kind = Kind::kText, .text = std::string(text)});
  }

  void push_container(unsigned char code) {
    switch (code) {
      case kEmptyTuple:
        return push({.kind = Kind::kTuple});
      case kEmptyList:
        return push({.kind = Kind::kList});
      case kEmptyDict:
        return push({.kind = Kind::kDict});
      case kTuple:
        return push({.kind = Kind::kTuple, .items = pop_to_mark()});
      case kTuple1:
      case kTuple2:
      case kTuple3:
        return push_tuple(static_cast<std::size_t>(code - kTuple1) + 1);
      case kAppend:
        return add_items(Kind::kList, {pop()});
      case kAppends:
        return add_items(Kind::kList, pop_to_mark());
      case kSetItem: {
        const std::uint32_t value = pop(), key = pop();
        return add_items(Kind::kDict, {key, value});
      }
      case kSetItems:
        return add_items(Kind::kDict, pop_to_mark());
      default:
        refuse_operation(code);
    }
  }

  /// A little-endian two's complement number of up to 8 bytes.
  void push_long() {
    const std::size_t size = number(1);
    if (size > 8) fail("a number is larger than 64 bits");
    if (size == 0) return push_integer(0);
    std::uint64_t value = number(size);
    const std::uint64_t sign = std::uint64_t{1} << (8 * size - 1);
    if (size < 8 && (value & sign) != 0) value -= sign << 1;
    push_integer(static_cast<std::int64_t>(value));
  }

  std::string_view bytes_;
  std::span<const std::string_view> functions_, classes_;
  const std::string& file_;
  std::size_t at_ = 0;
  Pickle pickle_;
  std::vector<std::uint32_t> stack_;
  std::vector<std::size_t> marks_;
  std::map<std::uint64_t, std::uint32_t> memo_;
};

}  // namespace

Pickle read_pickle(std::string_view bytes, std::span<const std::string_view> functions,
                   std::span<const std::string_view> classes, const std::string& file) {
  return Machine(bytes, functions, classes, file).run();
}

}  // namespace charm::engine
