// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "mover/clone.h"
#include "postgres/connection.h"
#include "tests/postgres/servers.h"

namespace cutover::mover::testing {

class PlainAdmin;

/// A database of its own on the source server, the move of it to the target server, and what it
/// takes to look at both. At the end both databases go, with the roles that were made here, on both
/// servers.
class Move {
 public:
  explicit Move(const pg::ConnectOptions& source = pg::testing::Servers().source,
                const pg::ConnectOptions& target = pg::testing::Servers().target,
                const std::string& properties = "");
  ~Move();
  Move(const Move&) = delete;
  Move& operator=(const Move&) = delete;

  /// Makes a role on the source and returns its name, which no other case uses.
  std::string Role(std::string_view attributes = "", std::string_view prefix = "role");
  /// Has the role dropped on both sides in the end.
  void ForgetRole(const std::string& name) { roles_.push_back(name); }

  /// Runs statements on the source database, as its admin, with search_path public.
  void Plant(const std::vector<std::string>& statements);
  /// Runs statements on the target's server, as its admin.
  void PlantOnTarget(const std::vector<std::string>& statements);

  /// The move that is tried; to be changed by a case before it is.
  CloneOptions options;

  /// Lets the target be reached as `admin`.
  void WriteAs(const PlainAdmin& admin);

  /// Clones; the report of a copy that was proven equal, or a failed test.
  Report MustArrive();
  /// Clones, and fails the test unless that is refused before anything was written: the message.
  std::string MustBeRefused(std::string_view reason = "Obstacles");
  /// Clones, and fails the test unless that ends in an error.
  Error MustFail();

  /// The first column of a query in either database.
  std::vector<std::string> OnSource(const std::string& sql);
  std::vector<std::string> OnTarget(const std::string& sql);
  /// Both sides answer the same, and something.
  void ExpectSame(const std::string& sql);

  const std::string& name() const { return name_; }       ///< Of the source database.
  const std::string& copy_name() const { return copy_; }  ///< Of the copy: another one.
  std::string quoted() const { return pg::QuoteIdentifier(name_); }
  pg::ConnectOptions Source() const { return source_.WithDatabase(name_); }
  pg::ConnectOptions Copy() const { return target_.WithDatabase(copy_); }

 private:
  pg::ConnectOptions source_;
  pg::ConnectOptions target_;
  std::string name_;
  std::string copy_;
  std::vector<std::string> roles_;
};

/// An admin role without superuser that lives as long as this, and may what `attributes` and
/// `grants` (statements with %s for its quoted name) say.
class PlainAdmin {
 public:
  PlainAdmin(const pg::ConnectOptions& server, std::string_view attributes,
             const std::vector<std::string>& grants = {});
  ~PlainAdmin();
  PlainAdmin(const PlainAdmin&) = delete;
  PlainAdmin& operator=(const PlainAdmin&) = delete;

  const std::string& name() const { return name_; }
  std::string quoted() const { return pg::QuoteIdentifier(name_); }
  /// `options` as this role.
  pg::ConnectOptions As(pg::ConnectOptions options) const;

 private:
  pg::ConnectOptions server_;
  std::string name_;
  std::string password_;
};

}  // namespace cutover::mover::testing
