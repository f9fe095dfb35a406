// SPDX-License-Identifier: Apache-2.0
#include "postgres/pgoutput.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdio>
#include <utility>

namespace cutover::pg {
namespace {

/// Takes big-endian numbers and strings from the front of a message. Past its end all is zero and
/// empty, and ran_out() says so.
class Reader {
 public:
  explicit Reader(std::string_view message) : rest_(message) {}

  uint64_t Number(size_t bytes) {
    uint64_t number = 0;
    for (const char c : Take(bytes)) number = number << 8 | static_cast<unsigned char>(c);
    return number;
  }
  uint32_t Int32() { return static_cast<uint32_t>(Number(4)); }
  uint16_t Int16() { return static_cast<uint16_t>(Number(2)); }
  char Byte() { return static_cast<char>(Number(1)); }
  std::string_view Take(size_t bytes) {
    if (bytes > rest_.size()) {
      ran_out_ = true;
      rest_ = {};
      return {};
    }
    const std::string_view taken = rest_.substr(0, bytes);
    rest_.remove_prefix(bytes);
    return taken;
  }
  std::string_view String() {
    const size_t end = rest_.find('\0');
    const std::string_view text = Take(end == std::string_view::npos ? rest_.size() + 1 : end);
    Take(1);
    return text;
  }
  char Peek() const { return rest_.empty() ? '\0' : rest_.front(); }
  bool ran_out() const { return ran_out_; }
  bool at_end() const { return rest_.empty(); }

 private:
  std::string_view rest_;
  bool ran_out_ = false;
};

tl::unexpected<Error> Violation(const std::string& what) {
  return TerminalError("ProtocolViolation", "the output plugin sent " + what +
                                                "; this is a defect, please report it with both "
                                                "servers' versions");
}

Status ReadRow(Reader& reader, PgoutputRow& row) {
  const uint16_t columns = reader.Int16();
  row.reserve(columns);
  for (int i = 0; i < columns; ++i) {
    PgoutputValue value;
    const char kind = reader.Byte();
    if (kind == 'u') value.kind = PgoutputValue::Kind::kUnchanged;
    if (kind == 't') {
      value.text = reader.Take(reader.Int32());
      value.kind = PgoutputValue::Kind::kText;
    }
    if (reader.ran_out())
      value = {PgoutputValue::Kind::kCut, {}};
    else if (kind != 'n' && kind != 'u' && kind != 't')
      return Violation("a value of kind " + std::to_string(static_cast<unsigned char>(kind)));
    row.push_back(value);
  }
  return Ok();
}

/// Old row or key, if any, and new row, if any.
Status ReadRows(Reader& reader, PgoutputMessage& message) {
  if (reader.Peek() == 'K' || reader.Peek() == 'O') {
    reader.Byte();
    message.has_old_row = true;
    TRY(ReadRow(reader, message.old_row));
  }
  if (message.kind == PgoutputMessage::Kind::kDelete || reader.at_end()) return Ok();
  if (reader.Byte() != 'N') return Violation("a change without a new row");
  return ReadRow(reader, message.new_row);
}

void ReadRelation(Reader& reader, PgoutputRelation& relation) {
  relation.oid = reader.Int32();
  relation.schema = reader.String();
  relation.name = reader.String();
  reader.Byte();  // The replica identity, which the catalog tells as well.
  const uint16_t columns = reader.Int16();
  for (int i = 0; i < columns && !reader.ran_out(); ++i) {
    reader.Byte();
    relation.columns.emplace_back(reader.String());
    reader.Number(8);  // Type and its modifier.
  }
}

PgoutputMessage::Kind KindOf(char letter) {
  using Kind = PgoutputMessage::Kind;
  constexpr std::array<std::pair<char, Kind>, 7> kKinds = {{{'B', Kind::kBegin},
                                                            {'C', Kind::kCommit},
                                                            {'R', Kind::kRelation},
                                                            {'I', Kind::kInsert},
                                                            {'U', Kind::kUpdate},
                                                            {'D', Kind::kDelete},
                                                            {'T', Kind::kTruncate}}};
  for (const auto& [known, kind] : kKinds)
    if (known == letter) return kind;
  return Kind::kOther;  // Types, origins, and what a newer version may add.
}

}  // namespace

Result<PgoutputMessage> ParsePgoutput(std::string_view bytes, bool cut) {
  using Kind = PgoutputMessage::Kind;
  Reader reader(bytes);
  PgoutputMessage message;
  message.kind = KindOf(reader.Byte());
  switch (message.kind) {
    case Kind::kBegin:
      message.lsn = reader.Number(8);
      break;
    case Kind::kCommit:
      reader.Take(1 + 8);
      message.lsn = reader.Number(8);
      break;
    case Kind::kRelation:
      ReadRelation(reader, message.relation);
      break;
    case Kind::kInsert:
    case Kind::kUpdate:
    case Kind::kDelete:
      message.relations = {reader.Int32()};
      TRY(ReadRows(reader, message));
      if (cut) return message;
      break;
    case Kind::kTruncate: {
      const uint32_t count = reader.Int32();
      reader.Byte();
      for (uint32_t i = 0; i < count && !reader.ran_out(); ++i)
        message.relations.push_back(reader.Int32());
      break;
    }
    case Kind::kOther:
      break;
  }
  if (reader.ran_out()) return Violation("a message that ends in its middle");
  return message;
}

std::string FormatLsn(uint64_t lsn) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%X/%X", static_cast<unsigned>(lsn >> 32),
                static_cast<unsigned>(lsn & 0xFFFFFFFF));
  return text.data();
}

Result<uint64_t> ParseLsn(std::string_view text) {
  constexpr size_t kDigitsMax = 8;
  const size_t slash = text.find('/');
  std::array<uint32_t, 2> halves{};
  std::array<std::string_view, 2> digits{text.substr(0, slash)};
  if (slash != std::string_view::npos) digits[1] = text.substr(slash + 1);
  for (size_t i = 0; i < halves.size(); ++i) {
    const char* end = digits[i].data() + digits[i].size();
    const auto [read, error] = std::from_chars(digits[i].data(), end, halves[i], 16);
    if (error != std::errc() || read != end || digits[i].size() > kDigitsMax)
      return TerminalError("ProtocolViolation",
                           "'" + std::string(text) +
                               "' is no position in a log, which is like 0/16B3748; this is a "
                               "defect, please report it with the server's version");
  }
  return uint64_t{halves[0]} << 32 | halves[1];
}

}  // namespace cutover::pg
