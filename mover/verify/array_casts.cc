// SPDX-License-Identifier: Apache-2.0
#include "mover/verify/array_casts.h"

#include <cctype>
#include <optional>
#include <vector>

namespace cutover::mover {
namespace {

/// Reads one list from its "(ARRAY[" on; nothing when it is not of constants, or not cast.
class ListReader {
 public:
  explicit ListReader(std::string_view text) : text_(text) {}

  std::optional<std::string> Read() {
    if (!Skip("(ARRAY[")) return std::nullopt;
    std::vector<std::string_view> constants;
    do {
      auto constant = Constant();
      if (!constant) return std::nullopt;
      constants.push_back(*constant);
    } while (Skip(", "));
    if (!Skip("])::")) return std::nullopt;
    const std::string_view type = Type();
    if (type.empty() || !Skip("[]")) return std::nullopt;
    std::string list = "ARRAY[";
    for (size_t i = 0; i < constants.size(); ++i) {
      if (i > 0) list += ", ";
      list.append("(").append(constants[i]).append(")::").append(type);
    }
    return list + "]";
  }

  size_t size() const { return at_; }

 private:
  bool Skip(std::string_view wanted) {
    if (text_.substr(at_, wanted.size()) != wanted) return false;
    at_ += wanted.size();
    return true;
  }

  /// 'it''s'::character varying
  std::optional<std::string_view> Constant() {
    const size_t start = at_;
    if (!Skip("'")) return std::nullopt;
    while (at_ < text_.size()) {
      if (Skip("''")) continue;
      if (text_[at_++] != '\'') continue;
      if (!Skip("::") || Type().empty()) return std::nullopt;
      return text_.substr(start, at_ - start);
    }
    return std::nullopt;
  }

  std::string_view Type() {
    const size_t start = at_;
    while (at_ < text_.size() && (std::isalnum(static_cast<unsigned char>(text_[at_])) ||
                                  text_[at_] == '_' || text_[at_] == '.' || text_[at_] == ' '))
      ++at_;
    return text_.substr(start, at_ - start);
  }

  const std::string_view text_;
  size_t at_ = 0;
};

}  // namespace

std::string SpellArrayCasts(std::string_view sql) {
  std::string spelled;
  while (!sql.empty()) {
    ListReader reader(sql);
    if (auto list = reader.Read()) {
      spelled += *list;
      sql.remove_prefix(reader.size());
    } else {
      spelled += sql.front();
      sql.remove_prefix(1);
    }
  }
  return spelled;
}

}  // namespace cutover::mover
