// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <set>

#include "tests/sim/postgres/statement.h"

namespace cutover::sim {
namespace {

// Sizes and numbers of sessions do not change as users write, or every look at them would be a
// write of the operator's, who reports them.
constexpr int64_t kDatabaseBytes = 1'000'000;

Outcome NoRows(const Statement&) { return Table(); }
Outcome Yes(const Statement&) { return Table{{"t"}}; }
Outcome No(const Statement&) { return Table{{"f"}}; }
Outcome Zero(const Statement&) { return Table{{"0"}}; }

// --- databases ----------------------------------------------------------------------------------

Outcome DatabaseExists(const Statement& statement) {
  if (statement.seen().Find(statement.Text(0)) == nullptr) return Table();
  return Table{{"1"}};
}

Outcome DatabaseExistsAsFlag(const Statement& statement) {
  return Table{{Flag(statement.seen().Find(statement.Text(0)) != nullptr)}};
}

Outcome CurrentDatabase(const Statement& statement) { return Table{{statement.backend.database}}; }

Outcome Properties(const Statement& statement) {
  const DatabaseState* database = statement.seen().Find(statement.Text(0));
  if (database == nullptr) return Table();
  return Table{
      {"UTF8", "C.UTF-8", "C.UTF-8", "c", {}, {}, database->comment, Number(kDatabaseBytes)}};
}

Outcome DatabaseSize(const Statement&) { return Table{{Number(kDatabaseBytes)}}; }

Outcome CountTables(const Statement& statement) {
  return Table{{Number(statement.here().content.tables)}};
}

Outcome Tenants(const Statement& statement) {
  std::vector<std::string> names;
  for (const auto& [name, database] : statement.seen().databases)
    if (name != "postgres" && !name.starts_with("cutover_new_")) names.push_back(name);
  return Column(names);
}

// What a fence or an unfinished creation looks like from outside.
Outcome ClosedDatabases(const Statement& statement) {
  constexpr std::string_view kProvisional = "cutover_new_";
  Table table;
  for (const auto& [name, database] : statement.seen().databases) {
    const bool provisional = name.starts_with(kProvisional);
    if (provisional || database->access.connection_limit == 0)
      table.push_back({name, provisional ? name.substr(kProvisional.size()) : ""});
  }
  return table;
}

std::string Identifier(const ModelServer& server) {
  return "73" + std::to_string(std::hash<std::string>()(server.name()) % 1'000'000'000);
}

Outcome SystemIdentifier(const Statement& statement) {
  return Table{{Identifier(statement.server)}};
}

Outcome Probe(const Statement& statement) {
  int version = statement.server.version_number();
  return Table{{std::to_string(version / 10000) + "." + std::to_string(version % 10000),
                Identifier(statement.server), "f", "1", "logical", "3", "97", "0", "10", "0", "10",
                "4", "0", "-1"}};
}

Outcome ServerSize(const Statement&) { return Table{{"1000000"}}; }

Outcome Privileges(const Statement& statement) {
  std::vector<Cell> row(8, "t");
  row.push_back(statement.backend.user);
  return Table{row};
}

Outcome ObservedDatabase(const Statement& statement) {
  if (statement.sql.starts_with("SELECT count(*)")) return Table{{"0"}};
  const std::string& owner = statement.here().access.owner;
  return Table{{statement.backend.database, Flag(statement.seen().roles.at(owner).superuser), "0"}};
}

Outcome Tables(const Statement& statement) {
  return Table{{"public", "orders", statement.here().access.owner, "f", "f", "",
                Number(statement.here().content.rows.size()), Number(kDatabaseBytes)}};
}

Outcome PreparedOfPreflight(const Statement& statement) {
  Table table;
  for (const std::string& gid : statement.here().prepared_transactions)
    table.push_back({gid, statement.here().access.owner, "2027-01-15 00:00:00"});
  return table;
}

// --- roles --------------------------------------------------------------------------------------

std::string Verifier(const RoleState& role) { return "SCRAM-SHA-256$" + role.password; }

Outcome AllRoles(const Statement& statement) {
  std::vector<std::string> names;
  for (const auto& [name, role] : statement.seen().roles) names.push_back(name);
  return Column(names);
}

void AddWithGroups(const ServerState& state, const std::string& name,
                   std::set<std::string>& names) {
  auto role = state.roles.find(name);
  if (role == state.roles.end() || !names.insert(name).second) return;
  for (const std::string& group : role->second.groups) AddWithGroups(state, group, names);
}

Outcome ReferencedNames(const Statement& statement) {
  const ServerState& state = statement.seen();
  const pg::DatabaseAccess& access = statement.here().access;
  std::set<std::string> names;
  AddWithGroups(state, access.owner, names);
  // The default list, which is stored as none, names nobody but the owner.
  for (const pg::AclItem& item : access.acl) {
    AddWithGroups(state, item.grantor, names);
    AddWithGroups(state, item.grantee, names);
  }
  names.erase(statement.backend.user);
  std::erase_if(names, [](const std::string& name) {
    return name.starts_with("pg_") || name.starts_with("cutover_forward_") ||
           name.starts_with("cutover_reverse_");
  });
  return Column({names.begin(), names.end()});
}

Outcome ReadRoles(const Statement& statement) {
  Table table;
  for (const std::string& name : statement.List(0)) {
    auto found = statement.seen().roles.find(name);
    if (found == statement.seen().roles.end()) continue;
    const RoleState& role = found->second;
    table.push_back({name, Flag(role.superuser), "t", "f", "f", Flag(role.login), "f", "f", "-1",
                     "", role.comment, Flag(role.superuser)});
  }
  std::sort(table.begin(), table.end());
  return table;
}

Outcome Memberships(const Statement& statement) {
  std::vector<std::string> names = statement.List(0);
  Table table;
  for (const std::string& name : names) {
    auto found = statement.seen().roles.find(name);
    if (found == statement.seen().roles.end()) continue;
    for (const std::string& group : found->second.groups)
      if (group.starts_with("pg_") || std::find(names.begin(), names.end(), group) != names.end())
        table.push_back({group, name, "f", "t", "t", "", "f"});
  }
  return table;
}

Outcome ReadVerifiers(const Statement& statement) {
  Table table;
  for (const std::string& name : statement.List(0)) {
    auto found = statement.seen().roles.find(name);
    if (found != statement.seen().roles.end() && !found->second.password.empty())
      table.push_back({name, Verifier(found->second)});
  }
  return table;
}

Outcome OwnSuperuser(const Statement& statement) {
  return Table{{Flag(statement.seen().roles.at(statement.backend.user).superuser)}};
}

Outcome MarkedRoles(const Statement& statement) {
  std::vector<std::string> names;
  for (const auto& [name, role] : statement.seen().roles)
    if (!role.superuser && role.comment == statement.Text(0)) names.push_back(name);
  return Column(names);
}

Outcome Unfenceable(const Statement& statement) {
  std::vector<std::string> owners = statement.List(0), names;
  const ServerState& state = statement.seen();
  for (const auto& [name, role] : state.roles) {
    if (!role.superuser && name != statement.backend.user) continue;
    if (std::any_of(owners.begin(), owners.end(),
                    [&, n = name](const std::string& owner) { return state.ActsAs(owner, n); }))
      names.push_back(name);
  }
  return Column(names);
}

Outcome AdminMembers(const Statement& statement) {
  const ServerState& state = statement.seen();
  const std::string& admin = statement.backend.user;
  Table table;
  for (const auto& [member, direct] : state.roles) {
    if (!direct.groups.contains(admin)) continue;
    for (const auto& [name, role] : state.roles)
      if (role.login && !role.superuser && name != admin && state.ActsAs(name, member))
        table.push_back({name, member, admin});
  }
  std::sort(table.begin(), table.end());
  return table;
}

Outcome RoleExists(const Statement& statement) {
  return Table{{Flag(statement.seen().roles.contains(LastIdentifier(statement.Text(0))))}};
}

// --- sequences ----------------------------------------------------------------------------------

Outcome SequenceNames(const Statement& statement) {
  Table table;
  for (const auto& [name, position] : statement.here().content.sequences)
    table.push_back({"public", name});
  return table;
}

Outcome ReadSequences(const Statement& statement) {
  Table table;
  std::string_view rest = statement.sql;
  while (!rest.empty()) {
    size_t end = std::min(rest.find(" UNION ALL "), rest.size());
    std::string_view one = rest.substr(0, end);
    auto found = statement.here().content.sequences.find(LastIdentifier(one));
    if (found == statement.here().content.sequences.end())
      return Fail("42P01", "no such sequence: " + std::string(one));
    table.push_back({Tokens(one)[1], Number(found->second.first), Flag(found->second.second)});
    rest.remove_prefix(std::min(end + 11, rest.size()));
  }
  return table;
}

Outcome NumberedColumns(const Statement& statement) {
  Table table;
  for (const auto& [name, position] : statement.here().content.sequences)
    table.push_back({"public", name, Flag(true), Number(INT64_MAX), "public", "orders", "id"});
  return table;
}

Outcome FurthestNumber(const Statement& statement) {
  const int64_t rows = statement.here().content.rows.size();
  return Table{{rows > 0 ? Number(rows) : std::nullopt}};
}

// setval() takes effect at once, COMMIT or not.
void SetSequence(const Statement& statement, size_t at) {
  const std::string name = LastIdentifier(statement.List(0)[at]);
  const std::pair<int64_t, bool> position = {std::stoll(statement.List(1)[at]),
                                             statement.List(2)[at] == "true"};
  statement.server.Edit([&](ServerState& state) {
    if (DatabaseState* database = state.Edit(statement.backend.database))
      database->content.sequences[name] = position;
  });
}

bool HasSequence(const Statement& statement, const std::string& name) {
  return statement.here().content.sequences.contains(LastIdentifier(name));
}

Outcome SetSequences(const Statement& statement) {
  const std::vector<std::string> names = statement.List(0);
  for (const std::string& name : names)
    if (!HasSequence(statement, name)) return Fail("42P01", "relation " + name + " does not exist");
  for (size_t at = 0; at < names.size(); ++at) SetSequence(statement, at);
  return Table{{Number(static_cast<int64_t>(names.size()))}};
}

Outcome SetSequencesThatExist(const Statement& statement) {
  const std::vector<std::string> names = statement.List(0);
  Table table;
  for (size_t at = 0; at < names.size(); ++at) {
    const bool there = HasSequence(statement, names[at]);
    if (there) SetSequence(statement, at);
    table.push_back({names[at], there ? Cell(statement.List(1)[at]) : std::nullopt});
  }
  return table;
}

Outcome Encoding(const Statement&) { return Table{{"UTF8"}}; }

}  // namespace

const std::vector<Known>& CatalogStatements() {
  static const std::vector<Known> statements = {
      {"WITH RECURSIVE this AS", ReferencedNames},
      {"t.tgconstraint <> 0", NoRows},
      {"WITH RECURSIVE below AS", NoRows},
      {"SELECT FROM pg_database WHERE datname = $1", DatabaseExists},
      {"SELECT 1 FROM pg_catalog.pg_database WHERE datname = $1", DatabaseExists},
      {"SELECT EXISTS (SELECT FROM pg_catalog.pg_database", DatabaseExistsAsFlag},
      {"SELECT current_database()", CurrentDatabase},
      {"SELECT pg_encoding_to_char(d.encoding)", Properties},
      {"SELECT pg_catalog.pg_database_size(", DatabaseSize},
      {"SELECT pg_catalog.count(*) FROM pg_catalog.pg_class c", CountTables},
      {"datname !~ '^cutover_new_'", Tenants},
      {"FROM '^cutover_new_(.*)$'", ClosedDatabases},
      {"SELECT current_setting('server_version'),", Probe},
      {"SELECT coalesce(sum(pg_database_size(oid)), 0)", ServerSize},
      {"SELECT system_identifier FROM pg_control_system()", SystemIdentifier},
      {"pg_has_role('pg_signal_backend', 'USAGE')", Privileges},
      {"FROM pg_largeobject_metadata", ObservedDatabase},
      {"greatest(c.reltuples, 0)", Tables},
      {"SELECT gid, owner, prepared FROM pg_prepared_xacts", PreparedOfPreflight},
      {"FROM pg_db_role_setting", NoRows},
      {"FROM pg_shseclabel", NoRows},
      {"rolbypassrls, rolconnlimit", ReadRoles},
      {"bool_or(a.admin_option)", Memberships},
      {"has_column_privilege('pg_authid', 'rolpassword'", Yes},
      {"SELECT rolname, rolpassword FROM pg_authid", ReadVerifiers},
      {"SELECT rolsuper FROM pg_roles WHERE rolname = current_user", OwnSuperuser},
      {"shobj_description(oid, 'pg_authid') = $1", MarkedRoles},
      {"FROM pg_shdepend s JOIN pg_roles r", No},  // A server has no tenant but the one.
      {"WHERE (r.rolsuper OR r.rolname = current_user)", Unfenceable},
      {"FROM pg_catalog.pg_auth_members a", AdminMembers},
      {"SELECT pg_catalog.pg_has_role($1, 'MEMBER')", Yes},
      {"SELECT pg_catalog.to_regrole($1)", RoleExists},
      {"WHERE c.relkind = 'S' AND c.relpersistence <> 't'", SequenceNames},
      {", last_value, is_called FROM ", ReadSequences},
      {"WITH used (sequence, relation, number) AS", NumberedColumns},
      {"SELECT pg_catalog.max(", FurthestNumber},
      {"SELECT count(setval(", SetSequences},
      {"SELECT name, setval(", SetSequencesThatExist},
      {"SHOW server_encoding", Encoding},
      {"SELECT wanted, c.oid IS NOT NULL,", NoRows},
      {"FROM pg_subscription s", NoRows},
      {"FROM pg_extension e", NoRows},
      {"FROM pg_event_trigger", NoRows},
      {"FROM pg_publication", NoRows},
      {"FROM pg_catalog.pg_publication WHERE puballtables", NoRows},
      {"plugin = 'pgoutput' AND active", NoRows},
      {"WHERE c.relkind = 'f'", NoRows},
      {"SELECT spcname FROM pg_tablespace", NoRows},
      {"extract(epoch FROM max(now() - xact_start))", Zero},
      {"c.relkind IN ('r', 'p', 'S')", NoRows},
      {"FROM pg_available_extensions", NoRows},
      {"SELECT rolname FROM pg_roles", AllRoles},
  };
  return statements;
}

}  // namespace cutover::sim
