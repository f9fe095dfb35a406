// SPDX-License-Identifier: Apache-2.0
#include "postgres/structure.h"

#include <set>
#include <utility>

#include "operator/base/enumerate.h"
#include "postgres/replication/structure_rows.h"

namespace cutover::pg {
namespace {

// Two records: the long one is read only when there is something to compare.
constexpr char kStructureRecord[] = "structure";
constexpr char kWatchRecord[] = "structure-watch";
constexpr size_t kNamedMax = 5;

// What ALTER TABLE has rewritten has another file, another TOAST table where it had one, and
// columns that were written anew. Each alone says nothing: VACUUM FULL, CLUSTER and TRUNCATE make a
// file (and keep the TOAST table), a privilege writes a column. A column's default is the better
// stamp: ALTER … TYPE makes it anew, VACUUM FULL does not, which does write a column that was added
// with a default (attmissingval).
constexpr char kFile[] = "file";
constexpr char kToast[] = "toast";
constexpr char kStamp[] = "stamp";

constexpr char kFiles[] = R"(,
  files (part, class, object, row) AS (
    SELECT 'file', 'pg_class'::regclass, oid, relfilenode::text FROM relations WHERE relkind = 'r'
    UNION ALL
    SELECT 'toast', 'pg_class'::regclass, oid, reltoastrelid::text
      FROM relations WHERE relkind = 'r' AND reltoastrelid <> 0
    UNION ALL
    SELECT 'stamp', 'pg_class'::regclass, attrelid,
           concat_ws(' ', attnum, coalesce(d.oid::text, a.xmin::text))
      FROM pg_attribute a LEFT JOIN pg_attrdef d ON d.adrelid = attrelid AND d.adnum = attnum
     WHERE attnum > 0 AND NOT attisdropped
       AND attrelid IN (SELECT oid FROM relations WHERE relkind = 'r')))";

constexpr char kOnlyFiles[] = R"(,
  more AS (SELECT * FROM files))";

constexpr char kAll[] = R"(,
  more AS (
    SELECT * FROM rows WHERE part NOT IN ('index', 'statistics')
    UNION ALL
    SELECT * FROM files
    UNION ALL
    SELECT 'publication', 'pg_class'::regclass, r.prrelid, r::text
      FROM pg_publication_rel r JOIN pg_publication p ON p.oid = r.prpubid
     WHERE p.pubname = $1
    UNION ALL
    SELECT 'publication', 'pg_publication'::regclass, oid, xmin::text
      FROM pg_publication WHERE pubname = $1))";

constexpr char kObjects[] = R"(,
  parts AS (
    SELECT class::oid, object, part, count(*) || ' ' || sum(hashtextextended(row, 0)) AS hashes
      FROM more WHERE object <> 0 GROUP BY 1, 2, 3),
  objects AS (
    SELECT class, object, json_object_agg(part, hashes) AS parts FROM parts GROUP BY 1, 2)
  SELECT class || '/' || object, concat_ws(' ', i.type, i.identity), parts
    FROM objects CROSS JOIN LATERAL pg_identify_object(class, object, 0) i)";

std::string PartOf(const StructureObject& object, const std::string& part) {
  auto found = object.parts.find(part);
  return found == object.parts.end() ? "" : found->second;
}

bool IsRewritten(const StructureObject& before, const StructureObject& now) {
  auto differs = [&](const char* part) { return PartOf(before, part) != PartOf(now, part); };
  return differs(kFile) && differs(kStamp) && (PartOf(before, kToast).empty() || differs(kToast));
}

// "column, constraint": those parts that differ, and count.
std::string Differing(const StructureObject& before, const StructureObject& now) {
  std::set<std::string> parts;
  for (const StructureObject* side : {&before, &now})
    for (const auto& [part, hash] : side->parts) parts.insert(part);
  std::string text;
  for (const std::string& part : parts) {
    const bool tells_rewriting = part == kFile || part == kToast || part == kStamp;
    if (tells_rewriting || PartOf(before, part) == PartOf(now, part)) continue;
    text += (text.empty() ? "" : ", ") + part;
  }
  if (text.empty() && IsRewritten(before, now)) return "rows rewritten";
  return text;
}

Json ToJson(const StructureWatch& watch) {
  return Json::Object({{"oldestXid", watch.mark.oldest_xid},
                       {"rows", watch.mark.rows},
                       {"comparedAt", FormatMicroTime(watch.compared_at)},
                       {"settled", watch.settled},
                       {"changes", watch.changes}});
}

Status KeepWatch(const std::stop_token& stop, Deadline deadline, Transaction& transaction,
                 const StructureWatch& watch) {
  TRY(ForgetRecord(stop, deadline, transaction, kWatchRecord, ""));
  TRY(RecordOnce(stop, deadline, transaction, kWatchRecord, "", ToJson(watch)));
  return Ok();
}

// The mark is older than what it stands for, so that nothing falls between the two.
Status WriteDown(const std::stop_token& stop, Deadline deadline, Connection& target,
                 const Claim& claim, const StructureLook& look) {
  StructureWatch watch{.mark = {}, .compared_at = look.now, .settled = look.settles};
  TRY_ASSIGN(watch.mark, MarkCatalogs(stop, deadline, target));
  TRY_ASSIGN(Structure structure, ReadStructure(stop, deadline, target, look.publication));
  return WithEpoch(
      stop, deadline, target, claim, [&](Transaction& transaction, const Control&) -> Status {
        TRY(RecordOnce(stop, deadline, transaction, kStructureRecord, "", ToJson(structure)));
        return KeepWatch(stop, deadline, transaction, watch);
      });
}

Status Compare(const std::stop_token& stop, Deadline deadline, Connection& target,
               const StructureLook& look, StructureWatch& watch) {
  TRY_ASSIGN(watch.mark, MarkCatalogs(stop, deadline, target));
  TRY_ASSIGN(auto before, ReadRecord(stop, deadline, target, kStructureRecord, ""));
  if (!before) return TerminalError("LedgerMissing", "no record of the target's structure");
  TRY_ASSIGN(Structure now, ReadStructure(stop, deadline, target, look.publication));
  watch.changes = DescribeChanges(CompareStructures(StructureOf(*before), now));
  watch.compared_at = look.now;
  return Ok();
}

Result<Structure> StructureFrom(const Rows& rows) {
  Structure structure;
  for (Row row : rows) {
    TRY_ASSIGN(Json parts, Json::Parse(row.Text(2)));
    StructureObject& object = structure[row.Text(0)];
    object.name = row.Text(1);
    for (const auto& [part, hash] : parts.Members()) object.parts[part] = hash.AsString();
  }
  return structure;
}

}  // namespace

Result<Structure> ReadStructure(std::stop_token stop, Deadline deadline, Connection& connection,
                                const std::string& publication) {
  static const std::string sql = std::string(kStructureRows) + kFiles + kAll + kObjects;
  TRY_ASSIGN(Rows rows, connection.Query(stop, deadline, sql, {publication}));
  return StructureFrom(rows);
}

Result<Structure> ReadTableFiles(std::stop_token stop, Deadline deadline, Connection& connection) {
  static const std::string sql = std::string(kStructureRows) + kFiles + kOnlyFiles + kObjects;
  TRY_ASSIGN(Rows rows, connection.Query(stop, deadline, sql));
  return StructureFrom(rows);
}

std::vector<std::string> CompareStructures(const Structure& before, const Structure& now) {
  std::vector<std::string> changes;
  for (const auto& [key, object] : now) {
    auto was = before.find(key);
    if (was == before.end()) {
      changes.push_back(object.name + " is new");
      continue;
    }
    const std::string differing = Differing(was->second, object);
    if (!differing.empty())
      changes.push_back(was->second.name + " was altered (" + differing + ")");
  }
  for (const auto& [key, object] : before)
    if (!now.contains(key)) changes.push_back(object.name + " is gone");
  return changes;
}

std::string DescribeChanges(const std::vector<std::string>& changes) {
  return Enumerate(changes, kNamedMax);
}

Json ToJson(const Structure& structure) {
  Json json = Json::Object();
  for (const auto& [key, object] : structure) {
    Json parts = Json::Object();
    for (const auto& [part, hash] : object.parts) parts.Set(part, hash);
    json.Set(key, Json::Object({{"name", object.name}, {"parts", std::move(parts)}}));
  }
  return json;
}

Structure StructureOf(const Json& json) {
  Structure structure;
  for (const auto& [key, object] : json.Members()) {
    StructureObject& read = structure[key];
    read.name = object["name"].AsString();
    for (const auto& [part, hash] : object["parts"].Members()) read.parts[part] = hash.AsString();
  }
  return structure;
}

Result<std::optional<StructureWatch>> ReadStructureWatch(std::stop_token stop, Deadline deadline,
                                                         Connection& target) {
  TRY_ASSIGN(auto record, ReadRecord(stop, deadline, target, kWatchRecord, ""));
  if (!record) return std::optional<StructureWatch>();
  const Json& json = *record;
  return std::optional(
      StructureWatch{.mark = {json["oldestXid"].AsString(), json["rows"].AsString()},
                     .compared_at = ParseTime(json["comparedAt"].AsString()).value_or(WallTime()),
                     .settled = json["settled"].AsInt(),
                     .changes = json["changes"].AsString()});
}

Status LookAtStructure(std::stop_token stop, Deadline deadline, Connection& target,
                       const Claim& claim, const StructureLook& look) {
  TRY_ASSIGN(auto watch, ReadStructureWatch(stop, deadline, target));
  if (!watch) return WriteDown(stop, deadline, target, claim, look);
  TRY_ASSIGN(bool touched, CatalogsTouched(stop, deadline, target, watch->mark));
  const bool settles = look.settles > watch->settled;
  // A comparison in the future is that of a leader whose clock is ahead.
  const bool early = look.now >= watch->compared_at && look.now - watch->compared_at < look.pause;
  if (!settles && (!touched || early)) return Ok();
  if (touched) TRY(Compare(stop, deadline, target, look, *watch));
  if (settles) watch->settled = look.settles;
  return WithEpoch(stop, deadline, target, claim, [&](Transaction& transaction, const Control&) {
    return KeepWatch(stop, deadline, transaction, *watch);
  });
}

}  // namespace cutover::pg
