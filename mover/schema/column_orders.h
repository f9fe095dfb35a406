// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <list>
#include <map>
#include <stop_token>
#include <string>
#include <vector>

#include "mover/plan/restore_script.h"
#include "operator/base/deadline.h"
#include "operator/base/result.h"
#include "postgres/connection.h"

namespace cutover::mover {

/// A table whose columns stand in another order than a dump makes them in: inherited ones come
/// first there. Whatever names no columns would put values into the wrong ones: INSERT, COPY, and
/// the text of a row's type.
struct ColumnOrder {
  uint32_t table_oid = 0;  ///< On the source.
  std::string schema;
  std::string name;
  std::string mould;    ///< The table that MouldTables() makes for it; qualified and quoted.
  std::string columns;  ///< Of the mould: names and types, in the order to have.
  std::string storage;  ///< Statements that give the mould's columns the parents' storage.
  /// It cannot be moulded: parents must agree on what generates a column.
  bool has_generated = false;

  /// How obstacles and differences name it.
  std::string Object() const { return "column order of " + schema + "." + name; }
  std::string Qualified() const { return pg::QuoteQualified(schema, name); }
};

/// Those of the source. Partitions are none: a dump makes them with columns of their own.
Result<std::vector<ColumnOrder>> ReadColumnOrders(std::stop_token stop, Deadline deadline,
                                                  pg::Connection& source);

/// Pure: `items` with other entries for those of `orders`, which are added to `moulded`. Such an
/// entry makes an empty table, the mould, that has the columns in the order to have, and the table
/// as a child of that before all, which is undone at once: where a column stands in it, whether it
/// is the table's own and what it inherits is then as on the source.
std::vector<const RestoreItem*> MouldTables(const std::vector<const RestoreItem*>& items,
                                            const std::vector<ColumnOrder>& orders,
                                            std::list<RestoreItem>& moulded);

/// "own, b, a" of each table that inherits, by ColumnOrder::Object(): what no dump says.
Result<std::map<std::string, std::string>> ReadInheritingColumns(std::stop_token stop,
                                                                 Deadline deadline,
                                                                 pg::Connection& connection);

}  // namespace cutover::mover
