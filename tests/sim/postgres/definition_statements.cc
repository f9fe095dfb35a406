// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "tests/sim/postgres/statement.h"

namespace cutover::sim {
namespace {

using Words = std::vector<std::string>;

// The word after `keyword`, or nothing.
std::optional<std::string> After(const Words& words, std::string_view keyword) {
  for (size_t at = 0; at + 1 < words.size(); ++at)
    if (words[at] == keyword) return words[at + 1];
  return std::nullopt;
}

bool Has(const Words& words, std::string_view word) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

bool InUse(const Statement& statement, const std::string& database) {
  return statement.server.CountSessions(database) > 0;
}

// --- databases ----------------------------------------------------------------------------------

Outcome CreateDatabase(const Statement& statement) {
  Words words = Tokens(statement.sql);
  const std::string& name = words[2];
  if (statement.seen().Find(name) != nullptr)
    return Fail("42P04", "database \"" + name + "\" already exists");
  DatabaseState created;
  created.access = DefaultAccess(After(words, "OWNER").value_or(statement.backend.user));
  if (auto limit = After(words, "LIMIT")) created.access.connection_limit = std::stoi(*limit);
  return statement.Change([name, created](ServerState& state) {
    state.databases.try_emplace(name, std::make_shared<DatabaseState>(created));
  });
}

Outcome DropDatabase(const Statement& statement) {
  const std::string name = Tokens(statement.sql)[4];
  const DatabaseState* there = statement.seen().Find(name);
  if (there == nullptr) return Table();
  if (!there->prepared_transactions.empty())
    return Fail("55006", "database \"" + name + "\" is being used by prepared transactions");
  if (!there->subscriptions.empty())
    return Fail("55006",
                "database \"" + name + "\" is being used by logical replication subscription");
  return statement.Change([name, &server = statement.server](ServerState& state) {
    std::vector<int> pids;
    for (const auto& [pid, backend] : server.backends())
      if (backend.database == name) pids.push_back(pid);
    for (int pid : pids) server.End(pid);
    state.databases.erase(name);
    std::erase_if(state.slots, [&](const auto& slot) { return slot.second.database == name; });
  });
}

Outcome HalfDropped(const Statement& statement) {
  const DatabaseState* there = statement.seen().Find(statement.Text(0));
  if (there == nullptr || there->access.connection_limit != kHalfDropped) return Table();
  return Table{{"1"}};
}

Outcome RenameDatabase(const Statement& statement, const std::string& from, const std::string& to) {
  if (statement.seen().Find(from) == nullptr)
    return Fail("3D000", "database \"" + from + "\" does not exist");
  if (statement.seen().Find(to) != nullptr)
    return Fail("42P04", "database \"" + to + "\" already exists");
  if (InUse(statement, from))
    return Fail("55006", "database \"" + from + "\" is being accessed by other users");
  return statement.Change([from, to](ServerState& state) {
    // Sent before, and here only now: it would be refused, and nobody is left to hear so.
    if (!state.databases.contains(from) || state.databases.contains(to)) return;
    auto node = state.databases.extract(from);
    node.key() = to;
    state.databases.insert(std::move(node));
    for (auto& [name, slot] : state.slots)
      if (slot.database == from) slot.database = to;
  });
}

// The access list speaks of the new owner wherever it spoke of the old one.
void GiveTo(pg::DatabaseAccess& access, const std::string& owner) {
  for (pg::AclItem& item : access.acl) {
    if (item.grantor == access.owner) item.grantor = owner;
    if (item.grantee == access.owner) item.grantee = owner;
  }
  std::sort(access.acl.begin(), access.acl.end());
  access.acl.erase(std::unique(access.acl.begin(), access.acl.end()), access.acl.end());
  access.owner = owner;
}

Outcome ChangeAccess(const Statement& statement, const std::string& database,
                     const std::function<void(pg::DatabaseAccess&)>& change) {
  if (statement.seen().Find(database) == nullptr)
    return Fail("3D000", "database \"" + database + "\" does not exist");
  return statement.Change([database, change](ServerState& state) {
    if (DatabaseState* edited = state.Edit(database)) change(edited->access);
  });
}

Outcome AlterDatabase(const Statement& statement) {
  Words words = Tokens(statement.sql);
  const std::string& name = words[2];
  if (words[3] == "RENAME") return RenameDatabase(statement, name, words[5]);
  if (words[3] == "OWNER")
    return ChangeAccess(statement, name,
                        [owner = words[5]](pg::DatabaseAccess& access) { GiveTo(access, owner); });
  if (words[3] == "CONNECTION")
    return ChangeAccess(statement, name, [limit = std::stoi(words[5])](pg::DatabaseAccess& access) {
      access.connection_limit = limit;
    });
  return Fail("0A000", "the model knows no such ALTER DATABASE: " + statement.sql);
}

std::string GranteeNamed(const std::string& word) { return word == "PUBLIC" ? "" : word; }

// What was granted by somebody who may no longer grant goes as well, until nothing is left to go.
void Cascade(pg::DatabaseAccess& access) {
  auto may_grant = [&](const pg::AclItem& item) {
    return item.grantor == access.owner ||
           std::any_of(access.acl.begin(), access.acl.end(), [&](const pg::AclItem& other) {
             return other.grantee == item.grantor && other.privilege == item.privilege &&
                    other.grantable;
           });
  };
  for (bool changed = true; changed;) {
    auto lost = std::find_if_not(access.acl.begin(), access.acl.end(), may_grant);
    changed = lost != access.acl.end();
    if (changed) access.acl.erase(lost);
  }
}

Outcome RevokeOnDatabase(const Statement& statement) {
  Words words = Tokens(statement.sql);
  return ChangeAccess(statement, words[4],
                      [grantee = GranteeNamed(words[6])](pg::DatabaseAccess& access) {
                        std::erase_if(access.acl, [&](const pg::AclItem& item) {
                          return item.grantor == access.owner && item.grantee == grantee;
                        });
                        Cascade(access);
                      });
}

void AddItem(pg::DatabaseAccess& access, pg::AclItem item) {
  for (pg::AclItem& there : access.acl) {
    if (there.grantor != item.grantor || there.grantee != item.grantee ||
        there.privilege != item.privilege)
      continue;
    there.grantable |= item.grantable;
    return;
  }
  access.acl.push_back(std::move(item));
  std::sort(access.acl.begin(), access.acl.end());
}

Outcome SetRole(const Statement& statement) {
  const std::string role = Tokens(statement.sql).back();
  statement.backend.acting_as = role == "NONE" ? "" : role;
  return Table();
}

// "GRANT CONNECT ON DATABASE d TO r [WITH GRANT OPTION]", by the owner, or by whom the session acts
// as.
Outcome GrantOnDatabase(const Statement& statement) {
  Words words = Tokens(statement.sql);
  pg::AclItem item;
  item.grantor = statement.backend.acting_as;
  item.privilege = words[1];
  item.grantee = GranteeNamed(words[6]);
  item.grantable = statement.sql.find("WITH GRANT OPTION") != std::string::npos;
  return ChangeAccess(statement, words[4], [item](pg::DatabaseAccess& access) {
    pg::AclItem granted = item;
    if (granted.grantor.empty()) granted.grantor = access.owner;
    AddItem(access, std::move(granted));
  });
}

Outcome CommentOnDatabase(const Statement& statement) {
  Words words = Tokens(statement.sql);
  return statement.Change([name = words[3], comment = words.back()](ServerState& state) {
    if (DatabaseState* database = state.Edit(name)) database->comment = comment;
  });
}

// --- roles --------------------------------------------------------------------------------------

Outcome CreateRole(const Statement& statement) {
  Words words = Tokens(statement.sql);
  const std::string& name = words[2];
  if (statement.seen().roles.contains(name))
    return Fail("42710", "role \"" + name + "\" already exists");
  RoleState role;
  role.superuser = Has(words, "SUPERUSER");
  role.login = !Has(words, "NOLOGIN");
  std::string verifier = After(words, "PASSWORD").value_or("");
  role.password = verifier.substr(verifier.find('$') + 1);
  return statement.Change([name, role](ServerState& state) { state.roles[name] = role; });
}

// "ALTER ROLE r LOGIN … PASSWORD 'v'"; its settings are no part of the model.
Outcome AlterRole(const Statement& statement) {
  Words words = Tokens(statement.sql);
  auto verifier = After(words, "PASSWORD");
  if (!verifier) return Table();
  return statement.Change([name = words[2], password = verifier->substr(verifier->find('$') + 1)](
                              ServerState& state) { state.roles[name].password = password; });
}

Outcome CommentOnRole(const Statement& statement) {
  Words words = Tokens(statement.sql);
  const bool none = statement.sql.ends_with(" IS NULL");
  return statement.Change([name = words[3], comment = none ? "" : words.back()](
                              ServerState& state) { state.roles[name].comment = comment; });
}

Outcome DropRole(const Statement& statement) {
  const std::string name = Tokens(statement.sql).back();
  if (!statement.seen().roles.contains(name)) return Table();
  for (const auto& [title, database] : statement.seen().databases) {
    const pg::DatabaseAccess& access = database->access;
    bool named = std::any_of(access.acl.begin(), access.acl.end(), [&](const auto& item) {
      return item.grantee == name || item.grantor == name;
    });
    if (access.owner == name || named)
      return Fail("2BP01",
                  "role \"" + name + "\" cannot be dropped because some objects depend on it");
  }
  return statement.Change([name](ServerState& state) {
    state.roles.erase(name);
    for (auto& [other, role] : state.roles) role.groups.erase(name);
  });
}

Outcome GrantRole(const Statement& statement) {
  Words words = Tokens(statement.sql);
  return statement.Change([group = words[1], member = words[3]](ServerState& state) {
    state.roles[member].groups.insert(group);
  });
}

Outcome Nothing(const Statement&) { return Table(); }

}  // namespace

const std::vector<Known>& DefinitionStatements() {
  static const std::vector<Known> statements = {
      {"CREATE DATABASE ", CreateDatabase},
      {"DROP DATABASE IF EXISTS ", DropDatabase},
      {"datconnlimit = -2", HalfDropped},
      {"ALTER DATABASE ", AlterDatabase},
      {"REVOKE ALL ON DATABASE ", RevokeOnDatabase},
      {" ON DATABASE ", GrantOnDatabase},
      {"COMMENT ON ROLE ", CommentOnRole},
      {"CREATE ROLE ", CreateRole},
      {"DROP ROLE ", DropRole},
      {"ALTER ROLE ", AlterRole},
      {"SET LOCAL ROLE ", SetRole},
      {"CREATE COLLATION pg_temp.", Nothing},
  };
  // COMMENT ON DATABASE before the GRANTs, which share its words; GRANTs of roles last.
  static const std::vector<Known> ordered = [] {
    std::vector<Known> all = {{"COMMENT ON DATABASE ", CommentOnDatabase}};
    all.insert(all.end(), statements.begin(), statements.end());
    all.push_back({"GRANT \"", GrantRole});
    return all;
  }();
  return ordered;
}

}  // namespace cutover::sim
