#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "charm/base/error.h"
#include "charm/base/files.h"
#include "charm/base/parse_json.h"
#include "charm/prefer/pairing.h"

namespace charm::prefer {
namespace {

const nlohmann::json& member(const nlohmann::json& object, const char* name,
                             const std::string& where) {
  const auto found = object.is_object() ? object.find(name) : object.end();
  if (!object.is_object() || found == object.end()) {
    throw Error(ErrorKind::kInput,
                "{}: has no member '{}'; expected a file written by charm calibrate", where, name);
  }
  return *found;
}

std::string text_member(const nlohmann::json& object, const char* name, const std::string& where) {
  const nlohmann::json& value = member(object, name, where);
  if (!value.is_string()) {
    throw Error(ErrorKind::kInput, "{}: '{}' is {}; expected a string", where, name,
                value.type_name());
  }
  return value.get<std::string>();
}

double finite_member(const nlohmann::json& object, const char* name, const std::string& where) {
  const nlohmann::json& value = member(object, name, where);
  if (!value.is_number() || !std::isfinite(value.get<double>())) {
    throw Error(ErrorKind::kInput, "{}: '{}' is {}; expected a finite number", where, name,
                value.dump());
  }
  return value.get<double>();
}

}  // namespace

Offsets read_offsets(const std::filesystem::path& path) {
  const nlohmann::json calibration = parse_json(read_file(path), path.string());
  Offsets offsets;
  offsets.reference = text_member(calibration, "reference", path.string());
  const nlohmann::json& policies = member(calibration, "policies", path.string());
  if (!policies.is_array() || policies.size() < 2) {
    throw Error(ErrorKind::kInput, "{}: 'policies' must list at least two policies", path.string());
  }
  for (std::size_t i = 0; i < policies.size(); ++i) {
    const std::string where = fmt::format("{}, policies[{}]", path.string(), i);
    offsets.policies.push_back(text_member(policies[i], "policy", where));
    offsets.offsets.push_back(finite_member(policies[i], "offset", where));
    if (std::count(offsets.policies.begin(), offsets.policies.end(), offsets.policies.back()) > 1) {
      throw Error(ErrorKind::kInput, "{}: policy '{}' occurs twice", where,
                  offsets.policies.back());
    }
  }
  if (std::find(offsets.policies.begin(), offsets.policies.end(), offsets.reference) ==
      offsets.policies.end()) {
    throw Error(ErrorKind::kInput, "{}: the reference '{}' is not among the policies",
                path.string(), offsets.reference);
  }
  return offsets;
}

}  // namespace charm::prefer
