// SPDX-License-Identifier: Apache-2.0
// What users have changed of an extension's own objects. A dump says CREATE EXTENSION, and nothing
// of these but grants, labels and policies.
#include <algorithm>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "mover/plan/obstacle_search.h"
#include "mover/schema/extensions.h"
#include "operator/base/enumerate.h"

namespace cutover::mover {
namespace {

constexpr size_t kNamedMax = 10;

/// What an extension's transactions, the one that made it and those that updated it, have written
/// is its own; what others have written may be as it was all the same (a grant, an owner,
/// ALTER FUNCTION, pg_upgrade), so that is compared then. Of rows only tables are looked at of
/// which a dump has none. Names are told apart from the schema that the extension is in.
constexpr char kOfExtension[] = R"(
WITH extension AS (
  SELECT e.oid, e.xmin AS xid, coalesce(e.extconfig, '{}') AS marked,
         pg_catalog.quote_ident(n.nspname) || '.' AS place
    FROM pg_catalog.pg_extension e JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace
   WHERE e.extname = $1),
member AS (
  SELECT d.classid, d.objid, d.xmin AS xid FROM pg_catalog.pg_depend d, extension e
   WHERE d.refclassid = 'pg_catalog.pg_extension'::regclass AND d.refobjid = e.oid
     AND d.deptype = 'e'),
own AS (
  SELECT pg_catalog.array_agg(DISTINCT xid::text) AS xids
    FROM (SELECT xid FROM member UNION ALL SELECT xid FROM extension) AS written),
relation AS (
  SELECT c.oid, c.relkind, c.relpersistence, n.nspname, c.relname FROM member m
         JOIN pg_catalog.pg_class c ON c.oid = m.objid
         JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
   WHERE m.classid = 'pg_catalog.pg_class'::regclass AND c.relkind IN ('r', 'p', 'v', 'm', 'f')))";

constexpr char kParts[] = R"(,
part (classid, objid, objsubid, xid, what, definition) AS (
  SELECT m.classid, p.oid, 0, p.xmin, '', p.prosrc FROM member m
         JOIN pg_catalog.pg_proc p ON p.oid = m.objid
   WHERE m.classid = 'pg_catalog.pg_proc'::regclass
  UNION ALL
  SELECT 'pg_catalog.pg_class'::regclass, a.attrelid, a.attnum,
         CASE WHEN f.xmin::text <> ALL (own.xids) THEN f.xmin ELSE a.xmin END, '',
         pg_catalog.concat_ws(' ', pg_catalog.format_type(a.atttypid, a.atttypmod), a.attnotnull,
                              pg_catalog.pg_get_expr(f.adbin, f.adrelid))
    FROM own, relation r JOIN pg_catalog.pg_attribute a ON a.attrelid = r.oid
         LEFT JOIN pg_catalog.pg_attrdef f ON f.adrelid = a.attrelid AND f.adnum = a.attnum
   WHERE r.relkind IN ('r', 'p', 'f') AND a.attnum > 0 AND NOT a.attisdropped
  UNION ALL
  SELECT 'pg_catalog.pg_trigger'::regclass, t.oid, 0, t.xmin, '',
         pg_catalog.pg_get_triggerdef(t.oid) || ' ' || t.tgenabled::text
    FROM relation r JOIN pg_catalog.pg_trigger t ON t.tgrelid = r.oid WHERE NOT t.tgisinternal
  UNION ALL
  SELECT 'pg_catalog.pg_rewrite'::regclass, w.oid, 0, w.xmin, '', pg_catalog.pg_get_ruledef(w.oid)
    FROM relation r JOIN pg_catalog.pg_rewrite w ON w.ev_class = r.oid
   WHERE w.rulename <> '_RETURN'
  UNION ALL
  SELECT 'pg_catalog.pg_constraint'::regclass, k.oid, 0, k.xmin, '',
         pg_catalog.pg_get_constraintdef(k.oid)
    FROM relation r JOIN pg_catalog.pg_constraint k ON k.conrelid = r.oid
   WHERE k.contype IN ('c', 'f', 'p', 'u', 'x')
  UNION ALL
  SELECT 'pg_catalog.pg_class'::regclass, i.indexrelid, 0, i.xmin, '',
         pg_catalog.pg_get_indexdef(i.indexrelid)
    FROM relation r JOIN pg_catalog.pg_index i ON i.indrelid = r.oid
   WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_constraint k WHERE k.conindid = i.indexrelid)
  UNION ALL
  SELECT m.classid, m.objid, 0, l.xmin, 'value ' || pg_catalog.quote_literal(l.enumlabel) || ' of ',
         '' FROM member m JOIN pg_catalog.pg_enum l ON l.enumtypid = m.objid
   WHERE m.classid = 'pg_catalog.pg_type'::regclass
  UNION ALL
  SELECT m.classid, m.objid, 0, s.xmin, '', s.dictinitoption FROM member m
         JOIN pg_catalog.pg_ts_dict s ON s.oid = m.objid
   WHERE m.classid = 'pg_catalog.pg_ts_dict'::regclass
  UNION ALL
  SELECT m.classid, m.objid, 0, w.xmin, '', w.fdwoptions::text FROM member m
         JOIN pg_catalog.pg_foreign_data_wrapper w ON w.oid = m.objid
   WHERE m.classid = 'pg_catalog.pg_foreign_data_wrapper'::regclass
  UNION ALL
  SELECT m.classid, m.objid, d.objsubid, d.xmin, 'comment on ', d.description FROM member m
         JOIN pg_catalog.pg_description d ON d.classoid = m.classid AND d.objoid = m.objid)
SELECT what || pg_catalog.pg_describe_object(classid, objid, objsubid),
       pg_catalog.replace(what || pg_catalog.pg_describe_object(classid, objid, objsubid), place,
                          ''),
       coalesce(pg_catalog.replace(definition, place, ''), ''), part.xid::text <> ALL (own.xids),
       classid::oid, objid, objsubid > 0 AND what = '' AND objid = ANY (marked)
  FROM part, own, extension ORDER BY 1)";

/// What a function may do beyond its caller: WithoutPowers().
constexpr char kPowers[] = R"(
SELECT pg_catalog.replace(pg_catalog.pg_describe_object(m.classid, m.objid, 0), place, ''),
       pg_catalog.pg_describe_object(m.classid, m.objid, 0),
       pg_catalog.concat_ws(', ', CASE WHEN p.proleakproof THEN 'LEAKPROOF' END,
         CASE WHEN p.prosecdef THEN 'SECURITY DEFINER' ||
              coalesce(' with settings ' || pg_catalog.replace(p.proconfig::text,
                pg_catalog.rtrim(place, '.'), '@extschema@'), '') END)
  FROM extension, member m JOIN pg_catalog.pg_proc p ON p.oid = m.objid
 WHERE m.classid = 'pg_catalog.pg_proc'::regclass AND p.prokind = 'f'
   AND (p.proleakproof OR p.prosecdef) ORDER BY 1)";

constexpr char kUnmarkedRows[] = R"(
SELECT nspname || '.' || relname, pg_catalog.replace(pg_catalog.quote_ident(nspname) || '.', place,
                                                     '') || relname,
       pg_catalog.has_table_privilege(r.oid, 'SELECT'),
       pg_catalog.format('SELECT FROM ONLY %I.%I AS t WHERE t.xmin::text <> ALL (%L::text[])'
                         ' LIMIT 1', nspname, relname, own.xids),
       pg_catalog.format('SELECT count(*) || '' '' || coalesce(pg_catalog.sum('
                         'pg_catalog.hashtextextended(t::text, 0)), 0) FROM ONLY %I.%I AS t',
                         nspname, relname)
  FROM relation r, own, extension
 WHERE relkind = 'r' AND relpersistence <> 't' AND r.oid <> ALL (marked) ORDER BY 1)";

/// By what it is called wherever the extension is.
struct Part {
  std::string object;
  std::string definition;
  bool changed = false;  ///< Not by the extension.
  bool needed = false;   ///< By rows that come along.
  uint32_t class_oid = 0;
  uint32_t object_oid = 0;
};
using Parts = std::map<std::string, Part>;

struct PowersOf {
  std::string object;
  std::string powers;
};

struct UnmarkedTable {
  std::string object;
  bool readable = false;
  std::string others_sql;  ///< Yields something when others than the extension have written there.
  std::string digest_sql;
};

Result<Parts> ReadParts(ObstacleSearch& search, pg::Connection& side, const std::string& name) {
  TRY_ASSIGN(pg::Rows rows,
             side.Query(search.stop, search.deadline, std::string(kOfExtension) + kParts, {name}));
  Parts parts;
  for (const pg::Row row : rows)
    parts[row.Text(1)] = {row.Text(0),
                          row.Text(2),
                          row.Bool(3),
                          row.Bool(6),
                          static_cast<uint32_t>(row.Int(4)),
                          static_cast<uint32_t>(row.Int(5))};
  return parts;
}

Result<std::map<std::string, UnmarkedTable>> ReadUnmarked(ObstacleSearch& search,
                                                          pg::Connection& side,
                                                          const std::string& name) {
  TRY_ASSIGN(pg::Rows rows, side.Query(search.stop, search.deadline,
                                       std::string(kOfExtension) + kUnmarkedRows, {name}));
  std::map<std::string, UnmarkedTable> tables;
  for (const pg::Row row : rows)
    tables[row.Text(1)] = {row.Text(0), row.Bool(2), row.Text(3), row.Text(4)};
  return tables;
}

Result<std::map<std::string, PowersOf>> ReadPowers(ObstacleSearch& search, pg::Connection& side,
                                                   const std::string& name) {
  TRY_ASSIGN(pg::Rows rows,
             side.Query(search.stop, search.deadline, std::string(kOfExtension) + kPowers, {name}));
  std::map<std::string, PowersOf> powers;
  for (const pg::Row row : rows) powers[row.Text(0)] = {row.Text(1), row.Text(2)};
  return powers;
}

/// What may have been changed, of one extension.
struct Suspects {
  Parts parts;
  std::map<std::string, PowersOf> powers;      ///< Where they are withheld.
  std::map<std::string, std::string> rows;     ///< Digests, by key.
  std::map<std::string, std::string> objects;  ///< Of `rows`, likewise.
};

bool ComesAlong(const RestoreScript& script, const Part& part) {
  return std::any_of(script.items.begin(), script.items.end(), [&](const RestoreItem& item) {
    return item.class_oid == part.class_oid && item.object_oid == part.object_oid;
  });
}

Result<Suspects> FindSuspects(ObstacleSearch& search, const std::string& name) {
  Suspects suspects;
  TRY_ASSIGN(suspects.parts, ReadParts(search, search.source, name));
  std::erase_if(suspects.parts, [&](const auto& entry) {
    return !entry.second.changed || ComesAlong(search.script, entry.second);
  });
  TRY_ASSIGN(auto unmarked, ReadUnmarked(search, search.source, name));
  for (const auto& [key, table] : unmarked) {
    if (!table.readable) {
      search.Note("role " + search.source_admin + " may not read " + table.object +
                  " of extension " + name +
                  ", whose rows do not come along; whether users have changed them is not known");
      continue;
    }
    TRY_ASSIGN(pg::Rows others, search.OfSource(table.others_sql));
    if (others.empty()) continue;
    TRY_ASSIGN(pg::Rows digest, search.OfSource(table.digest_sql));
    suspects.rows[key] = digest[0].Text(0);
    suspects.objects[key] = table.object;
  }
  // Altered together with CREATE EXTENSION it looks like the extension's own.
  if (search.terms.withhold_powers) {
    TRY_ASSIGN(suspects.powers, ReadPowers(search, search.source, name));
  }
  return suspects;
}

/// What the target's server makes of the extension.
struct Twin {
  Parts parts;
  std::map<std::string, PowersOf> powers;
  std::map<std::string, std::string> rows;
};

Result<Twin> ReadTwin(ObstacleSearch& search, const std::string& name, const Suspects& suspects) {
  Twin twin;
  TRY_ASSIGN(twin.parts, ReadParts(search, search.target, name));
  if (!suspects.powers.empty()) {
    TRY_ASSIGN(twin.powers, ReadPowers(search, search.target, name));
  }
  TRY_ASSIGN(auto unmarked, ReadUnmarked(search, search.target, name));
  for (const auto& [key, table] : unmarked) {
    if (!suspects.rows.contains(key) || !table.readable) continue;
    TRY_ASSIGN(pg::Rows digest, search.OfTarget(table.digest_sql));
    twin.rows[key] = digest[0].Text(0);
  }
  return twin;
}

/// The statements that make it, as far as the extension lets one choose in a schema of its own, so
/// that its script meets nothing which others have put there. Empty: the server has no such
/// version.
Result<std::string> HowToMake(ObstacleSearch& search, const std::string& name,
                              const std::string& version) {
  TRY_ASSIGN(pg::Rows offered,
             search.OfTarget("SELECT schema IS NULL FROM pg_catalog.pg_available_extension_versions"
                             " WHERE name = $1 AND version = $2",
                             {name, version}));
  if (offered.empty()) return std::string();
  const std::string create = "CREATE EXTENSION " + pg::QuoteIdentifier(name) + " WITH ";
  const std::string rest = "VERSION " + pg::QuoteLiteral(version) + " CASCADE";
  if (!offered[0].Bool(0)) return create + rest;
  return "CREATE SCHEMA cutover_twin; " + create + "SCHEMA cutover_twin " + rest;
}

/// Rolled back. Nothing where it cannot be made, nor is there of the same version.
Result<std::optional<Twin>> MakeTwin(ObstacleSearch& search, const std::string& name,
                                     const std::string& version, const Suspects& suspects) {
  TRY_ASSIGN(
      pg::Rows there,
      search.OfTarget("SELECT extversion FROM pg_catalog.pg_extension WHERE extname = $1", {name}));
  if (!there.empty() && there[0].Text(0) != version) return std::optional<Twin>();
  TRY_ASSIGN(const std::string make, HowToMake(search, name, version));
  if (there.empty() && make.empty()) return std::optional<Twin>();
  TRY_ASSIGN(pg::Transaction probe,
             pg::Transaction::Begin(search.stop, search.deadline, search.target));
  if (there.empty()) {
    Status made = probe.Exec(search.stop, search.deadline, make);
    if (!made && (!search.target.usable() || made.error().disposition != Disposition::kTerminal))
      return tl::make_unexpected(std::move(made).error());
    if (!made) {
      TRY(probe.Rollback(search.stop, search.deadline));
      return std::optional<Twin>();
    }
  }
  TRY_ASSIGN(Twin twin, ReadTwin(search, name, suspects));
  TRY(probe.Rollback(search.stop, search.deadline));
  return std::optional(std::move(twin));
}

void AddParts(ObstacleSearch& search, const std::string& name, const Parts& suspects,
              const Twin& twin) {
  for (const auto& [key, part] : suspects) {
    auto made = twin.parts.find(key);
    if (made != twin.parts.end() && made->second.definition == part.definition) continue;
    search.Add(part.object,
               (made == twin.parts.end() ? "it was added to what extension " + name + " has made"
                                         : "it is not as extension " + name + " makes it") +
                   std::string("; no dump holds that, and the target makes the extension anew"),
               part.needed ? "on the source: ALTER TABLE … DROP COLUMN, or move its values into a "
                             "table of your own"
                           : "note how it is on the source, accept, and make it so on the target "
                             "after the switch",
               !part.needed);
  }
}

void AddPowers(ObstacleSearch& search, const std::string& name, const Suspects& suspects,
               const Twin& twin) {
  for (const auto& [key, function] : suspects.powers) {
    auto made = twin.powers.find(key);
    if (made != twin.powers.end() && made->second.powers == function.powers) continue;
    search.Add(function.object,
               "it is " + function.powers + ", and extension " + name +
                   " makes it otherwise; on the target it belongs to whoever makes the extension "
                   "there, so on a server that tenants share it stays as it is made",
               "on the source: ALTER FUNCTION … SECURITY INVOKER NOT LEAKPROOF; or accept that");
  }
}

void AddRows(ObstacleSearch& search, const std::string& name, const Suspects& suspects,
             const std::optional<Twin>& twin) {
  for (const auto& [key, digest] : suspects.rows) {
    if (twin) {
      auto made = twin->rows.find(key);
      if (made != twin->rows.end() && made->second == digest) continue;
    }
    search.Add("rows of " + suspects.objects.at(key),
               "the table is extension " + name +
                   "'s, which does not mark its rows as the users' (pg_extension_config_dump), so "
                   "no dump holds them, and the target's are those that the extension makes" +
                   (twin ? "" : "; whether they are the same could not be tried there"),
               "keep them in a file (COPY … TO), accept, and put them into the target's table "
               "after the switch");
  }
}

/// Members of a trusted extension are a superuser's, whoever makes it.
Status OwnersCanBeGiven(ObstacleSearch& search, const std::string& name) {
  if (search.target_superuser) return Ok();
  TRY_ASSIGN(auto owned, ReadOwnedMembers(search.stop, search.deadline, search.source, name));
  for (const OwnedMember& member : owned)
    search.Add(member.object,
               "extension " + name + " has made it, and it belongs to role " + member.owner +
                   ", to whom role " + pg::QuoteIdentifier(search.target_admin) +
                   " may not give it on the target",
               "let a superuser of the target run the move, or accept that it belongs to whoever "
               "makes the extension");
  return Ok();
}

}  // namespace

Status FindMemberObstacles(ObstacleSearch& search, const std::string& name,
                           const std::string& version) {
  TRY(OwnersCanBeGiven(search, name));
  TRY_ASSIGN(const Suspects suspects, FindSuspects(search, name));
  if (suspects.parts.empty() && suspects.rows.empty() && suspects.powers.empty()) return Ok();
  TRY_ASSIGN(const auto twin, MakeTwin(search, name, version, suspects));
  AddRows(search, name, suspects, twin);
  if (twin) {
    AddParts(search, name, suspects.parts, *twin);
    AddPowers(search, name, suspects, *twin);
  } else if (!suspects.parts.empty()) {
    std::vector<std::string> objects;
    for (const auto& [key, part] : suspects.parts) objects.push_back(part.object);
    search.Note("extension " + name + " of version " + version +
                " cannot be tried on the target, so it is not known whether these are as it makes "
                "them, as they will be on the target: " +
                Enumerate(objects, kNamedMax));
  }
  return Ok();
}

}  // namespace cutover::mover
