// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "operator/base/deadline.h"
#include "operator/base/result.h"
#include "postgres/connection.h"
#include "postgres/database.h"

namespace cutover::pg {

struct Extension {
  std::string name;
  std::string version;
  std::string schema;
};

/// A table that holds rows itself: an ordinary one or a leaf of a partition tree.
struct Table {
  std::string schema;
  std::string name;
  std::string owner;
  bool is_partition = false;
  bool is_unlogged = false;
  std::string extension;       ///< The extension it is a member of, if any.
  int64_t rows_estimated = 0;  ///< 0 also when never analysed: a hint for order, not a fact.
  int64_t bytes = 0;           ///< With TOAST, without indexes.
};

struct PreparedTransaction {
  std::string gid;
  std::string owner;
  std::string prepared_at;
};

struct EventTrigger {
  std::string name;
  std::string owner;
  bool enabled = false;
};

struct Subscription {
  std::string name;
  bool enabled = false;
};

/// What preflight and plan want to know of one database, over a connection to it. What belongs to
/// extensions' and our own schema `cutover` is left out of `tables` but for extension members,
/// which are marked.
struct DatabaseFacts {
  DatabaseProperties properties;
  bool owner_is_superuser = false;
  std::vector<Extension> extensions;
  std::vector<Table> tables;  ///< Biggest first.
  std::vector<PreparedTransaction> prepared_transactions;
  std::vector<EventTrigger> event_triggers;
  std::vector<Subscription> subscriptions;
  std::vector<std::string> publications;
  std::vector<std::string> foreign_tables;  ///< "schema.name"
  std::vector<std::string> tablespaces;     ///< Other than the default, used by this database.
  /// Tables ("schema.name") whose constraints' own triggers were switched off: nobody is held to a
  /// foreign key there. No dump says so.
  std::vector<std::string> unenforced_tables;
  std::vector<std::string> referenced_roles;  ///< Without predefined ones.
  int64_t large_objects = 0;
  int64_t oldest_transaction_age_seconds = 0;  ///< Of other sessions in this database.

  int64_t table_bytes() const;
};

Result<DatabaseFacts> ObserveDatabase(std::stop_token stop, Deadline deadline,
                                      Connection& connection);

/// DatabaseFacts::unenforced_tables.
Result<std::vector<std::string>> ReadUnenforcedTables(std::stop_token stop, Deadline deadline,
                                                      Connection& connection);

/// Tables ("schema.name") whose rows `role` cannot all read: no SELECT, no USAGE on the schema, or
/// row security that would silently hide some.
Result<std::vector<std::string>> ReadUnreadableTables(std::stop_token stop, Deadline deadline,
                                                      Connection& connection,
                                                      std::string_view role);

/// Extensions that the server could install.
struct AvailableExtension {
  std::string default_version;
  std::vector<std::string> versions;
};
Result<std::map<std::string, AvailableExtension>> ReadAvailableExtensions(std::stop_token stop,
                                                                          Deadline deadline,
                                                                          Connection& connection);

}  // namespace cutover::pg
