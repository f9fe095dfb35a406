// SPDX-License-Identifier: Apache-2.0
#include "mover/verify/catalog.h"

#include <algorithm>
#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "mover/plan/obstacles.h"
#include "mover/process/parallel.h"
#include "mover/schema/column_orders.h"
#include "mover/schema/extensions.h"
#include "mover/schema/restore.h"
#include "mover/verify/procedure_arguments.h"
#include "mover/verify/structure.h"
#include "mover/verify/view_definitions.h"
#include "postgres/database.h"
#include "postgres/event_triggers.h"
#include "postgres/roles.h"
#include "postgres/sequences.h"

namespace cutover::mover {
namespace {

constexpr auto kConnectTimeout = std::chrono::seconds(30);

using Words = std::map<std::string, std::string>;

/// Every key of either side must be on both, with the same value.
template <class Map, class ToWords>
void CompareMaps(const std::string& what, const char* kind, const Map& ours, const Map& theirs,
                 ToWords words, Report& report) {
  auto name = [&](const auto& key) {
    if constexpr (std::is_arithmetic_v<std::decay_t<decltype(key)>>)
      return what + std::to_string(key);
    else
      return what + key;
  };
  for (const auto& [key, value] : ours) {
    auto found = theirs.find(key);
    if (found == theirs.end())
      report.Add({name(key), kind, words(value), "absent"});
    else if (!(found->second == value))
      report.Add({name(key), kind, words(value), words(found->second)});
  }
  for (const auto& [key, value] : theirs) {
    if (!ours.contains(key)) report.Add({name(key), kind, "absent", words(value)});
  }
}

void CompareWords(const std::string& what, const char* kind, const Words& ours, const Words& theirs,
                  Report& report) {
  CompareMaps(
      what, kind, ours, theirs, [](const std::string& words) { return words; }, report);
}

Result<Words> ReadSequenceWords(std::stop_token stop, Side& side) {
  TRY_ASSIGN(auto positions, pg::ReadSequences(stop, Deadline::Never(), side.connection()));
  Words words;
  for (const pg::SequencePosition& position : positions)
    words[position.schema + "." + position.name] =
        std::to_string(position.last_value) + (position.is_called ? "" : " (not called yet)");
  return words;
}

Status CompareSequences(std::stop_token stop, Side& source, Side& target, Report& report) {
  TRY_ASSIGN(Words ours, ReadSequenceWords(stop, source));
  TRY_ASSIGN(Words theirs, ReadSequenceWords(stop, target));
  CompareWords("sequence ", "sequence", ours, theirs, report);
  return Ok();
}

std::string Describe(const LargeObject& object) {
  std::string words = "owner " + object.owner + ", sha256 " + object.content_sha256;
  if (!object.default_acl) words += ", grants " + DescribeGrants(object);
  if (!object.comment.empty()) words += ", comment '" + object.comment + "'";
  for (const pg::SecurityLabel& label : object.labels)
    words += ", label " + label.provider + " '" + label.label + "'";
  return words;
}

Status CompareLargeObjects(std::stop_token stop, Side& source, Side& target,
                           const RoleNames& role_names, const LargeObjects* known, Report& report) {
  auto read = [stop](Side& side) { return ReadLargeObjects(stop, side.connection(), nullptr); };
  auto [left, right] = Together(
      [&]() -> Result<LargeObjects> {
        return known == nullptr ? read(source) : Result<LargeObjects>(LargeObjects());
      },
      [&] { return read(target); });
  TRY(left);
  TRY(right);
  RenameRoles(role_names, *left);
  CompareMaps(
      "large object ", "largeObject", known == nullptr ? *left : *known, *right,
      [](const LargeObject& object) { return Describe(object); }, report);
  return Ok();
}

/// A function that only one of two versions has is the versions' business.
void CompareFunctions(const Extension& ours, const Extension& theirs, Report& report) {
  std::map<std::string, const ExtensionFunction*> by_signature;
  for (const ExtensionFunction& function : theirs.functions)
    by_signature[function.signature] = &function;
  const bool same_version = ours.version == theirs.version;
  for (const ExtensionFunction& function : ours.functions) {
    auto found = by_signature.find(function.signature);
    if (found == by_signature.end()) continue;
    const std::string lacks = Alteration(function, *found->second, same_version);
    if (!lacks.empty())
      report.Add({"function " + function.signature, "extension", "marked" + lacks, "otherwise"});
  }
}

void CompareOwned(const Extension& ours, const Extension& theirs, Report& report) {
  for (const OwnedMember& member : ours.owned) {
    auto there =
        std::find_if(theirs.owned.begin(), theirs.owned.end(),
                     [&](const OwnedMember& other) { return other.object == member.object; });
    if (there == theirs.owned.end() || there->owner != member.owner)
      report.Add({member.object, "owner", member.owner,
                  there == theirs.owned.end() ? "whoever made the extension" : there->owner});
  }
}

Status CompareExtensions(std::stop_token stop, Side& source, Side& target,
                         const RoleNames& role_names, Report& report) {
  TRY_ASSIGN(auto ours, ReadExtensions(stop, Deadline::Never(), source.connection()));
  RenameRoles(role_names, ours);
  TRY_ASSIGN(auto theirs, ReadExtensions(stop, Deadline::Never(), target.connection()));
  auto by_name = [](const std::vector<Extension>& extensions) {
    Words names;
    for (const Extension& extension : extensions)
      names[extension.name] = "in schema " + extension.schema;
    return names;
  };
  CompareWords("extension ", "extension", by_name(ours), by_name(theirs), report);
  for (const Extension& extension : ours) {
    auto there = std::find_if(theirs.begin(), theirs.end(), [&](const Extension& candidate) {
      return candidate.name == extension.name;
    });
    if (there == theirs.end()) continue;
    CompareFunctions(extension, *there, report);
    CompareOwned(extension, *there, report);
  }
  return Ok();
}

Result<pg::DatabaseProperties> ReadProperties(std::stop_token stop, Side& side) {
  TRY_ASSIGN(pg::Rows rows, side.connection().QueryOne(stop, Deadline::Never(),
                                                       "SELECT pg_catalog.current_database()"));
  TRY_ASSIGN(auto found,
             pg::FindDatabase(stop, Deadline::Never(), side.connection(), rows[0].Text(0)));
  if (found) return std::move(*found);
  return TerminalError("DatabaseNotFound",
                       "a database vanished while it was compared; nothing is proven");
}

std::string DescribeAccess(const pg::DatabaseAccess& access) {
  std::string text;
  for (const pg::AclItem& item : access.acl)
    text += item.privilege + " to " + (item.grantee.empty() ? "PUBLIC" : item.grantee) +
            (item.grantable ? " with grant option; " : "; ");
  return text;
}

Status CompareProperties(std::stop_token stop, Side& source, Side& target,
                         const RoleNames& role_names, bool compare_access, Report& report) {
  TRY_ASSIGN(pg::DatabaseProperties ours, ReadProperties(stop, source));
  RenameRoles(role_names, ours);
  TRY_ASSIGN(pg::DatabaseProperties theirs, ReadProperties(stop, target));
  auto compare = [&report](const char* what, const std::string& left, const std::string& right) {
    if (left != right) report.Add({std::string("database ") + what, "database", left, right});
  };
  compare("encoding", ours.encoding, theirs.encoding);
  compare("collation", ours.collate, theirs.collate);
  compare("character type", ours.ctype, theirs.ctype);
  compare("locale provider", ours.locale_provider, theirs.locale_provider);
  compare("locale", ours.locale, theirs.locale);
  compare("collation rules", ours.icu_rules, theirs.icu_rules);
  compare("comment", ours.comment, theirs.comment);
  auto settings = [](const pg::DatabaseProperties& properties) {
    Words values;
    for (const pg::StoredSetting& setting : properties.settings)
      values[setting.name + (setting.role.empty() ? "" : " of role " + setting.role)] =
          setting.value;
    return values;
  };
  CompareWords("database setting ", "database", settings(ours), settings(theirs), report);
  auto labels = [](const pg::DatabaseProperties& properties) {
    Words values;
    for (const pg::SecurityLabel& label : properties.labels) values[label.provider] = label.label;
    return values;
  };
  CompareWords("database security label of ", "database", labels(ours), labels(theirs), report);
  if (!compare_access || ours.access == theirs.access) return Ok();
  compare("owner", ours.access.owner, theirs.access.owner);
  compare("connection limit", std::to_string(ours.access.connection_limit),
          std::to_string(theirs.access.connection_limit));
  compare("grants", DescribeAccess(ours.access), DescribeAccess(theirs.access));
  return Ok();
}

Result<pg::RoleSet> ReadTheirs(std::stop_token stop, Side& target, const pg::RoleSet& ours) {
  std::vector<std::string> names;
  for (const pg::Role& role : ours.roles) names.push_back(role.name);
  for (const pg::Membership& membership : ours.memberships) names.push_back(membership.group);
  return pg::ReadRoles(stop, Deadline::Never(), target.connection(), names);
}

const pg::Role* Named(const pg::RoleSet& set, const std::string& name) {
  auto found = std::find_if(set.roles.begin(), set.roles.end(),
                            [&name](const pg::Role& role) { return role.name == name; });
  return found == set.roles.end() ? nullptr : &*found;
}

/// Each role must be there, with the memberships and settings that it has on the source, whatever
/// else it is. That the target's may do more is not the move's concern. A superuser is never
/// copied.
Status CompareRoles(std::stop_token stop, Side& source, Side& target, const RoleNames& role_names,
                    const pg::RoleSet* known, Report& report) {
  pg::RoleSet ours;
  if (known != nullptr) {
    ours = *known;
  } else {
    TRY_ASSIGN(ours, pg::ReadReferencedRoles(stop, Deadline::Never(), source.connection()));
  }
  pg::RoleSet renamed = ours;
  RenameRoles(role_names, renamed);
  TRY_ASSIGN(const pg::RoleSet theirs, ReadTheirs(stop, target, renamed));
  for (size_t at = 0; at < renamed.roles.size(); ++at) {
    const pg::Role& role = renamed.roles[at];
    if (role.superuser) continue;
    const pg::Role* there = Named(theirs, role.name);
    if (there == nullptr) {
      report.Add({RoleObject(ours.roles[at].name), "role", "there", "absent"});
      continue;
    }
    for (pg::StoredSetting setting : pg::MissingSettings(role, *there)) {
      setting.role = ours.roles[at].name;
      report.Add({pg::SettingObject(setting), "role", "set", "not, or to another value"});
    }
  }
  for (size_t at = 0; at < renamed.memberships.size(); ++at) {
    const pg::Membership& wanted = renamed.memberships[at];
    const pg::Role* member = Named(renamed, wanted.member);
    if (member != nullptr && !member->superuser && Named(theirs, wanted.member) != nullptr &&
        !pg::IsGiven(wanted, theirs))
      report.Add(
          {pg::MembershipObject(ours.memberships[at]), "role", "given", "not, or not in full"});
  }
  return Ok();
}

Status CompareMatviews(std::stop_token stop, Side& source, Side& target, Report& report) {
  auto read = [stop](Side& side) -> Result<Words> {
    TRY_ASSIGN(auto names, ReadPopulatedMatviews(stop, Deadline::Never(), side.connection()));
    Words filled;
    for (const std::string& name : names) filled[name] = "filled";
    return filled;
  };
  TRY_ASSIGN(Words ours, read(source));
  TRY_ASSIGN(Words theirs, read(target));
  CompareWords("materialized view ", "structure", ours, theirs, report);
  return Ok();
}

/// Of tables that inherit on both sides; others say it in the structure.
Status CompareColumnOrders(std::stop_token stop, Side& source, Side& target, Report& report) {
  TRY_ASSIGN(Words ours, ReadInheritingColumns(stop, Deadline::Never(), source.connection()));
  TRY_ASSIGN(Words theirs, ReadInheritingColumns(stop, Deadline::Never(), target.connection()));
  for (const auto& [object, columns] : ours) {
    auto found = theirs.find(object);
    if (found != theirs.end() && found->second != columns)
      report.Add({object, "structure", columns, found->second});
  }
  return Ok();
}

/// Makes what two majors write in different words comparable.
Status Translate(std::stop_token stop, Side& source, Side& target, RestoreScript& script) {
  const int from = source.connection().major_version(), to = target.connection().major_version();
  if (from == to) return Ok();
  // A connection of its own, since the lanes may only read.
  TRY_ASSIGN(pg::Connection probe,
             pg::Connection::Open(stop, Deadline::After(kConnectTimeout), target.options()));
  TRY(pg::SilenceEventTriggers(stop, Deadline::Never(), probe));
  TRY(TranslateViewDefinitions(stop, source.connection(), probe, script));
  if (from < kMajorOfProcedureModes && to >= kMajorOfProcedureModes)
    TRY(SpellProcedureArguments(stop, source.connection(), script));
  return Ok();
}

/// The source's structure as a whole, and the target's to be read entry by entry.
struct Dumps {
  SchemaDump source;
  std::optional<SchemaArchive> target;
};

Status DumpBoth(std::stop_token stop, const PgPrograms& programs, Side& source, Side& target,
                SchemaDump* known, Dumps& dumps) {
  auto [left, right] = Together(
      [&]() -> Result<SchemaDump> {
        if (known != nullptr) return std::move(*known);
        return DumpSchema(stop, Deadline::Never(), programs, source.connection().options(),
                          source.snapshot());
      },
      [&] {
        return SchemaArchive::Dump(stop, Deadline::Never(), programs, target.connection().options(),
                                   target.snapshot());
      });
  TRY(left);
  TRY(right);
  dumps.source = std::move(*left);
  dumps.target.emplace(std::move(*right));
  return Ok();
}

Status CompareStructures(std::stop_token stop, const PgPrograms& programs, const Dumps& dumps,
                         const RoleNames& role_names, Report& report) {
  StructureComparison comparison(dumps.source.script, report);
  TRY(dumps.target->ReadItems(stop, Deadline::Never(), programs, [&](RestoreItem item) {
    if (!role_names.empty()) {
      // They only come out in quotes, as those of the source do.
      RestoreScript alone;
      alone.items.push_back(std::move(item));
      RenameRoles({}, alone);
      item = std::move(alone.items[0]);
    }
    comparison.Take(std::move(item));
  }));
  comparison.Finish();
  return Ok();
}

}  // namespace

Status CompareCatalogs(std::stop_token stop, const PgPrograms& programs, Side& source, Side& target,
                       const CatalogTerms& terms, Report& report) {
  if (terms.level == VerificationLevel::kCounts)
    return terms.compare_sequences ? CompareSequences(stop, source, target, report) : Ok();
  const RoleNames role_names = terms.role_names == nullptr ? RoleNames() : *terms.role_names;
  Dumps dumps;
  auto dump = [&](std::stop_token both) -> Status {
    TRY_ASSIGN(report.method.dump_version, programs.DumpVersion(both, Deadline::Never()));
    TRY(DumpBoth(both, programs, source, target, terms.known_structure, dumps));
    return Ok();
  };
  Report found;  // Two threads must not add to one report.
  auto read = [&](std::stop_token both) -> Status {
    if (terms.compare_sequences) TRY(CompareSequences(both, source, target, found));
    TRY(CompareLargeObjects(both, source, target, role_names, terms.known_large_objects, found));
    TRY(CompareExtensions(both, source, target, role_names, found));
    TRY(CompareProperties(both, source, target, role_names, terms.compare_access, found));
    TRY(CompareColumnOrders(both, source, target, found));
    TRY(CompareRoles(both, source, target, role_names, terms.known_roles, found));
    return CompareMatviews(both, source, target, found);
  };
  TRY(RunBoth(stop, dump, read));
  report.Merge(std::move(found));
  if (!role_names.empty() && terms.known_structure == nullptr)
    RenameRoles(role_names, dumps.source.script);
  TRY(Translate(stop, source, target, dumps.source.script));
  return CompareStructures(stop, programs, dumps, role_names, report);
}

}  // namespace cutover::mover
