// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <stop_token>
#include <string>
#include <vector>

#include "operator/base/result.h"
#include "postgres/connection.h"

namespace cutover::mover {

/// The columns by which rows of a table are told apart and ordered alike on every server. What is
/// asked by it, with an empty search path, runs no function of the tenant's.
struct TableKey {
  std::vector<std::string> columns;
  /// How each is written in a comparison. Text is ordered by bytes, since collations may differ.
  std::vector<std::string> expressions;
  /// How each is read, as its type writes it.
  std::vector<std::string> texts;

  bool empty() const { return columns.empty(); }
  /// "(a, b)", to be compared with a row of values.
  std::string Row() const;
  /// "(a, b)=(1, 2)", for people.
  std::string Describe(const std::vector<std::string>& values) const;
};

/// The primary key, or any unique key without NULLs; empty where there is none. `table_oid` is the
/// connection's own.
Result<TableKey> FindTableKey(std::stop_token stop, pg::Connection& connection, uint32_t table_oid);

/// "a, b".
std::string JoinNames(const std::vector<std::string>& names);

}  // namespace cutover::mover
