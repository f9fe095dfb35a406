// SPDX-License-Identifier: Apache-2.0
#include "postgres/sample.h"

#include <algorithm>
#include <utility>

#include "operator/base/enumerate.h"

namespace cutover::pg {
namespace {

constexpr char kRecord[] = "sample";
constexpr size_t kNamedMax = 5;

bool SameRow(const std::optional<RowState>& a, const std::optional<RowState>& b) {
  return a.has_value() == b.has_value() && (!a || a->hash == b->hash);
}

const char* Verb(const Suspect& suspect) {
  if (!suspect.source) return " is missing on the source";
  return suspect.target ? " differs" : " is on the source only";
}

Json ToJson(const std::optional<RowState>& row) {
  return row ? Json::Object({{"hash", row->hash}, {"version", row->version}}) : Json();
}

std::optional<RowState> RowStateOf(const Json& json) {
  if (!json.IsObject()) return std::nullopt;
  return RowState{json["hash"].AsString(), json["version"].AsString()};
}

}  // namespace

bool Suspect::IsEqual() const { return SameRow(source, target); }

SecondLook LookTwice(const Suspect& first, const std::optional<RowState>& source,
                     const std::optional<RowState>& target) {
  if (SameRow(source, target)) return SecondLook::kEqual;
  const bool untouched = source == first.source && target == first.target;
  return untouched ? SecondLook::kDiffers : SecondLook::kWritten;
}

int64_t Sample::differences() const {
  return std::count_if(suspects.begin(), suspects.end(),
                       [](const Suspect& suspect) { return suspect.proven; });
}

int64_t Sample::undecided() const { return static_cast<int64_t>(suspects.size()) - differences(); }

std::string Sample::DescribeDifferences() const {
  std::vector<std::string> proven;
  for (const Suspect& suspect : suspects)
    if (suspect.proven) proven.push_back(suspect.words + Verb(suspect));
  return Enumerate(proven, kNamedMax);
}

std::string Sample::DescribeNotCompared() const {
  std::vector<std::string> tables;
  for (const TableName& table : not_compared) tables.push_back(Display(table));
  return Enumerate(tables, kNamedMax);
}

Json ToJson(const Sample& sample) {
  Json json = Json::Object({{"rows", sample.rows},
                            {"lastSchema", sample.last_table.first},
                            {"lastTable", sample.last_table.second}});
  if (sample.taken_at) json.Set("takenAt", FormatMicroTime(*sample.taken_at));
  Json suspects = Json::Array();
  for (const Suspect& suspect : sample.suspects)
    suspects.Append(Json::Object({{"schema", suspect.table.first},
                                  {"table", suspect.table.second},
                                  {"key", suspect.key},
                                  {"words", suspect.words},
                                  {"source", ToJson(suspect.source)},
                                  {"target", ToJson(suspect.target)},
                                  {"position", suspect.position},
                                  {"proven", suspect.proven}}));
  json.Set("suspects", std::move(suspects));
  Json not_compared = Json::Array();
  for (const TableName& table : sample.not_compared)
    not_compared.Append(Json::Object({{"schema", table.first}, {"table", table.second}}));
  json.Set("notCompared", std::move(not_compared));
  return json;
}

Sample SampleOf(const Json& json) {
  Sample sample;
  sample.taken_at = ParseTime(json["takenAt"].AsString());
  sample.rows = json["rows"].AsInt();
  sample.last_table = {json["lastSchema"].AsString(), json["lastTable"].AsString()};
  for (const Json& suspect : json["suspects"].Items())
    sample.suspects.push_back({{suspect["schema"].AsString(), suspect["table"].AsString()},
                               suspect["key"].AsString(),
                               suspect["words"].AsString(),
                               RowStateOf(suspect["source"]),
                               RowStateOf(suspect["target"]),
                               suspect["position"].AsString(),
                               suspect["proven"].AsBool()});
  for (const Json& table : json["notCompared"].Items())
    sample.not_compared.emplace(table["schema"].AsString(), table["table"].AsString());
  return sample;
}

Result<Sample> ReadSample(std::stop_token stop, Deadline deadline, Connection& target) {
  TRY_ASSIGN(auto record, ReadRecord(stop, deadline, target, kRecord, ""));
  return record ? SampleOf(*record) : Sample();
}

Status KeepSample(std::stop_token stop, Deadline deadline, Connection& target, const Claim& claim,
                  const Sample& sample) {
  return WithEpoch(stop, deadline, target, claim,
                   [&](Transaction& transaction, const Control&) -> Status {
                     TRY(ForgetRecord(stop, deadline, transaction, kRecord, ""));
                     TRY(RecordOnce(stop, deadline, transaction, kRecord, "", ToJson(sample)));
                     return Ok();
                   });
}

}  // namespace cutover::pg
