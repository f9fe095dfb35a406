// SPDX-License-Identifier: Apache-2.0
#include "operator/base/json.h"

#include <rapidjson/error/en.h>
#include <rapidjson/prettywriter.h>
#include <rapidjson/reader.h>
#include <rapidjson/stringbuffer.h>
#include <rapidjson/writer.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <iterator>
#include <unordered_map>

#include "operator/base/check.h"

namespace cutover {
namespace {

// Deep enough for any Kubernetes object, shallow enough for any stack.
constexpr size_t kDepthMax = 200;

// Builds a Json tree from RapidJSON's events. What a container holds waits in `values_` until its
// end, when their number is known, so that it is made once and in its size.
class Builder : public rapidjson::BaseReaderHandler<rapidjson::UTF8<>, Builder> {
 public:
  Builder() { values_.reserve(kOpenAtOnce); }

  bool Null() { return Put(Json()); }
  bool Bool(bool value) { return Put(value); }
  // RapidJSON's own conversion to double runs astray at zeros with an exponent (0e300).
  bool RawNumber(const char* text, rapidjson::SizeType size, bool) {
    const char* const end = text + size;
    int64_t integer = 0;
    auto [integer_end, not_integer] = std::from_chars(text, end, integer);
    if (not_integer == std::errc() && integer_end == end) return Put(static_cast<long>(integer));
    double number = 0;
    auto [number_end, not_number] = std::from_chars(text, end, number);
    // Out of range is both: too small, which is nearly 0, and too big, which is no number of ours.
    if (not_number == std::errc::result_out_of_range)
      number = std::strtod(std::string(text, size).c_str(), nullptr);
    else if (not_number != std::errc() || number_end != end)
      return false;
    return std::isfinite(number) && Put(number);
  }
  bool String(const char* text, rapidjson::SizeType size, bool) {
    return Put(std::string_view(text, size));
  }
  bool Key(const char* text, rapidjson::SizeType size, bool) {
    key_ = std::string_view(text, size);
    return true;
  }
  bool StartObject() { return Open(); }
  bool StartArray() { return Open(); }
  bool EndObject(rapidjson::SizeType size) {
    const auto first = values_.end() - size;
    Json object = Json::Object();
    // Not const, nor are its members; member by member each would be looked for first.
    auto& members = const_cast<Json::ObjectType&>(object.Members());
    members.assign(std::move_iterator(first), std::move_iterator(values_.end()));
    KeepLastOfEach(members);
    return Close(first, std::move(object));
  }
  bool EndArray(rapidjson::SizeType size) {
    const auto first = values_.end() - size;
    Json::ArrayType items;
    items.reserve(size);
    for (auto value = first; value != values_.end(); ++value)
      items.push_back(std::move(value->second));
    return Close(first, Json::ArrayOf(std::move(items)));
  }

  Json Take() { return std::move(values_.front().second); }

 private:
  // Containers have their place before what they hold.
  bool Open() { return ++depth_ <= kDepthMax && Put(Json()); }
  bool Close(std::vector<Json::Member>::iterator first, Json container) {
    --depth_;
    values_.erase(first, values_.end());
    values_.back().second = std::move(container);
    return true;
  }
  template <class Value>
  bool Put(Value&& value) {
    values_.emplace_back(std::piecewise_construct, std::forward_as_tuple(key_),
                         std::forward_as_tuple(std::forward<Value>(value)));
    key_ = {};  // Items of an array have none.
    return true;
  }
  // Of members of the same name the last one counts, in the place of the first.
  static void KeepLastOfEach(Json::ObjectType& members) {
    if (members.size() > kComparedPairwiseMax) return KeepLastOfMany(members);
    uint64_t seen = 0;
    for (size_t i = 0; i < members.size(); ++i) {
      const uint64_t mark = MarkOf(members[i].first);
      if ((std::exchange(seen, seen | mark) & mark) == 0) continue;
      const auto same = std::find_if(members.begin(), members.begin() + static_cast<long>(i),
                                     [&](const auto& m) { return m.first == members[i].first; });
      if (same == members.begin() + static_cast<long>(i)) continue;
      same->second = std::move(members[i].second);
      members.erase(members.begin() + static_cast<long>(i--));
    }
  }
  // The same for the same name, so that few are compared with any other.
  static uint64_t MarkOf(const std::string& name) {
    if (name.empty()) return 1;
    const unsigned ends =
        static_cast<unsigned char>(name.front()) * 5u + static_cast<unsigned char>(name.back());
    return uint64_t{1} << ((ends + name.size() * 11u) % 64u);
  }
  static void KeepLastOfMany(Json::ObjectType& members) {
    Json::ObjectType kept;
    kept.reserve(members.size());  // The map's views are of strings that stay where they are.
    std::unordered_map<std::string_view, size_t> places;
    for (Json::Member& member : members) {
      if (const auto seen = places.find(member.first); seen != places.end()) {
        kept[seen->second].second = std::move(member.second);
      } else {
        kept.push_back(std::move(member));
        places.emplace(kept.back().first, kept.size() - 1);
      }
    }
    members = std::move(kept);
  }

  // As many as an object of ours has, so that what waits need not be moved while it grows.
  static constexpr size_t kOpenAtOnce = 64;
  // Few are faster compared with each other; a ConfigMap can have a hundred thousand.
  static constexpr size_t kComparedPairwiseMax = 64;

  std::vector<Json::Member> values_;  // Of containers that are open, each with its key if any.
  std::string_view key_;              // In the text, which is parsed where it stands.
  size_t depth_ = 0;
};

template <class Writer>
void Write(Writer& writer, const Json& value) {
  if (value.IsObject()) {
    writer.StartObject();
    for (const auto& [key, member] : value.Members()) {
      writer.Key(key.data(), static_cast<rapidjson::SizeType>(key.size()));
      Write(writer, member);
    }
    writer.EndObject();
  } else if (value.IsArray()) {
    writer.StartArray();
    for (const Json& item : value.Items()) Write(writer, item);
    writer.EndArray();
  } else if (value.IsString()) {
    writer.String(value.StringRef().data(),
                  static_cast<rapidjson::SizeType>(value.StringRef().size()));
  } else if (value.IsBool()) {
    writer.Bool(value.AsBool());
  } else if (value.IsInt()) {
    writer.Int64(value.AsInt());
  } else if (value.IsNumber() && std::isfinite(value.AsDouble())) {
    writer.Double(value.AsDouble());
  } else {
    writer.Null();
  }
}

// Almost every object is, and ASCII is UTF-8 that need not be looked at byte by byte.
bool IsAscii(std::string_view text) {
  uint64_t seen = 0;
  for (; text.size() >= sizeof(seen); text.remove_prefix(sizeof(seen))) {
    uint64_t word;
    std::memcpy(&word, text.data(), sizeof(word));
    seen |= word;
  }
  for (char c : text) seen |= static_cast<unsigned char>(c);
  return (seen & 0x8080808080808080u) == 0;
}

const Json& NullJson() {
  static const auto* null = new Json;
  return *null;
}

}  // namespace

Result<Json> Json::Parse(std::string_view text) {
  Builder builder;
  rapidjson::Reader reader;
  // A stream that ends at a NUL costs half of what the bounded one does, and strings that are read
  // where they stand need no copy of their own.
  std::string terminated(text);
  rapidjson::InsituStringStream stream(terminated.data());
  constexpr unsigned kFlags = rapidjson::kParseNumbersAsStringsFlag | rapidjson::kParseInsituFlag;
  auto result = IsAscii(text)
                    ? reader.Parse<kFlags>(stream, builder)
                    : reader.Parse<kFlags | rapidjson::kParseValidateEncodingFlag>(stream, builder);
  if (result.IsError())
    return TerminalError("InvalidJson", std::string(rapidjson::GetParseError_En(result.Code())) +
                                            " (at byte " + std::to_string(result.Offset()) + ")");
  if (stream.Tell() != text.size())
    return TerminalError("InvalidJson", "a NUL where the text should end (at byte " +
                                            std::to_string(stream.Tell()) + ")");
  return builder.Take();
}

std::string Json::Dump() const {
  rapidjson::StringBuffer buffer;
  rapidjson::Writer<rapidjson::StringBuffer> writer(buffer);
  Write(writer, *this);
  return {buffer.GetString(), buffer.GetSize()};
}

std::string Json::DumpPretty() const {
  rapidjson::StringBuffer buffer;
  rapidjson::PrettyWriter<rapidjson::StringBuffer> writer(buffer);
  writer.SetIndent(' ', 2);
  Write(writer, *this);
  return {buffer.GetString(), buffer.GetSize()};
}

bool Json::AsBool(bool fallback) const {
  const bool* value = std::get_if<bool>(&value_);
  return value ? *value : fallback;
}

int64_t Json::AsInt(int64_t fallback) const {
  if (const int64_t* value = std::get_if<int64_t>(&value_)) return *value;
  // A double counts only when it is a whole number: 1.9 must not silently become 1.
  if (const double* value = std::get_if<double>(&value_);
      value && std::floor(*value) == *value && std::abs(*value) < 9e18)
    return static_cast<int64_t>(*value);
  return fallback;
}

double Json::AsDouble(double fallback) const {
  if (const double* value = std::get_if<double>(&value_)) return *value;
  if (const int64_t* value = std::get_if<int64_t>(&value_)) return static_cast<double>(*value);
  return fallback;
}

std::string Json::AsString(std::string_view fallback) const {
  return IsString() ? StringRef() : std::string(fallback);
}

const std::string& Json::StringRef() const {
  static const auto* empty = new std::string;
  const std::string* value = std::get_if<std::string>(&value_);
  return value ? *value : *empty;
}

const Json* Json::Find(std::string_view key) const {
  for (const Member& member : Members())
    if (member.first == key) return &member.second;
  return nullptr;
}

const Json& Json::operator[](std::string_view key) const {
  const Json* found = Find(key);
  return found ? *found : NullJson();
}

const Json& Json::operator[](size_t index) const {
  return index < Items().size() ? Items()[index] : NullJson();
}

const Json& Json::At(std::initializer_list<std::string_view> path) const {
  const Json* value = this;
  for (std::string_view key : path) value = &(*value)[key];
  return *value;
}

const Json::ArrayType& Json::Items() const {
  static const auto* empty = new ArrayType;
  const auto* items = std::get_if<ArrayType>(&value_);
  return items ? *items : *empty;
}

const Json::ObjectType& Json::Members() const {
  static const auto* empty = new ObjectType;
  const auto* members = std::get_if<ObjectType>(&value_);
  return members ? *members : *empty;
}

Json& Json::Set(std::string_view key, Json value) {
  MutableAt(key) = std::move(value);
  return *this;
}

Json& Json::MutableAt(std::string_view key) {
  if (IsNull()) value_ = ObjectType();
  auto* members = std::get_if<ObjectType>(&value_);
  CHECK(members != nullptr);
  for (Member& member : *members)
    if (member.first == key) return member.second;
  members->emplace_back(std::string(key), Json());
  return members->back().second;
}

Json& Json::MutableAt(size_t index) {
  auto* items = std::get_if<ArrayType>(&value_);
  CHECK(items != nullptr && index < items->size());
  return (*items)[index];
}

void Json::Remove(std::string_view key) {
  auto* members = std::get_if<ObjectType>(&value_);
  if (members) std::erase_if(*members, [&](const Member& member) { return member.first == key; });
}

Json& Json::Append(Json value) {
  if (IsNull()) value_ = ArrayType();
  auto* items = std::get_if<ArrayType>(&value_);
  CHECK(items != nullptr);
  items->push_back(std::move(value));
  return items->back();
}

bool operator==(const Json& a, const Json& b) {
  if (a.IsObject() && b.IsObject()) {
    if (a.Size() != b.Size()) return false;
    for (const auto& [key, value] : a.Members()) {
      const Json* other = b.Find(key);
      if (!other || !(value == *other)) return false;
    }
    return true;
  }
  if (a.IsNumber() && b.IsNumber() && a.IsInt() != b.IsInt()) return a.AsDouble() == b.AsDouble();
  return a.value_ == b.value_;
}

}  // namespace cutover
