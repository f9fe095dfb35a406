// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "tests/sim/postgres/model_server.h"

namespace cutover::sim {

using Outcome = tl::expected<Table, pg::ServerError>;

/// One statement on its way through the model.
struct Statement {
  ModelServer& server;
  Backend& backend;
  const std::string& sql;
  const std::vector<Cell>& params;

  const ServerState& seen() const { return server.Seen(backend); }
  /// The database that the session is in.
  const DatabaseState& here() const { return *seen().Find(backend.database); }
  std::string Text(size_t param) const { return params.at(param).value_or(""); }
  /// A parameter of type text[].
  std::vector<std::string> List(size_t param) const;
  /// Changes the state with the transaction, or at once when there is none. The answer of a
  /// statement without rows.
  Outcome Change(Redo redo) const {
    server.Change(backend, std::move(redo));
    return Table();
  }
  /// Changes the database that the session is in.
  Outcome ChangeHere(std::function<void(DatabaseState&)> change) const {
    return Change([name = backend.database, change = std::move(change)](ServerState& state) {
      if (DatabaseState* database = state.Edit(name)) change(*database);
    });
  }
};

using Handler = Outcome (*)(const Statement&);

/// A statement is known by a part of its text that no other has.
struct Known {
  std::string_view characteristic;
  Handler run;
};

/// The operator's own tables, the fence, and what ends or finds sessions.
const std::vector<Known>& ControlStatements();
/// CREATE, ALTER, DROP, GRANT, REVOKE, COMMENT.
const std::vector<Known>& DefinitionStatements();
/// Slots, publications, subscriptions, markers, and the probe of all these.
const std::vector<Known>& StreamStatements();
/// What is asked of the catalogs: roles, databases, sequences, preflight.
const std::vector<Known>& CatalogStatements();

tl::unexpected<pg::ServerError> Fail(std::string sqlstate, std::string message);
inline Cell Flag(bool value) { return value ? "t" : "f"; }
inline Cell Number(int64_t value) { return std::to_string(value); }
/// One row for each name.
Table Column(const std::vector<std::string>& names);

/// Words, quoted identifiers without their quotes, literals without theirs, single signs.
std::vector<std::string> Tokens(std::string_view sql);
/// "schema"."name" → name.
std::string LastIdentifier(std::string_view qualified);

}  // namespace cutover::sim
