// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "operator/base/result.h"

namespace cutover::mover {

/// One entry of a pg_dump archive, as `pg_restore --verbose --file=-` prints it.
struct RestoreItem {
  int dump_id = 0;
  uint32_t class_oid = 0;   ///< Catalog of the object on the source; 0 for comments, grants, …
  uint32_t object_oid = 0;  ///< The object's OID on the source.
  std::vector<int> depends_on;
  std::string type;    ///< "TABLE", "FK CONSTRAINT", …
  std::string name;    ///< For people and for keys: newlines are replaced by spaces.
  std::string schema;  ///< "-" where there is none.
  std::string owner;
  std::string sql;  ///< Statements, without the comment that announces them.

  /// "INDEX public.orders_idx": how errors and reports name it.
  std::string Describe() const;
};

/// The whole script. `preamble` is what stands before the first entry.
struct RestoreScript {
  std::string preamble;
  std::vector<RestoreItem> items;
};

/// Dump ids of a listing by `pg_restore --list`. Terminal "ArchiveUnreadable" for anything else.
Result<std::set<int>> ParseTocIds(std::string_view listing);

/// Splits a script into its entries while it comes, so that it never stands in memory beside them.
/// Only the ids in `known` start an entry, so that the text of a function that looks like an
/// announcement does not.
///
/// What psql alone understands (\restrict) and what another PostgreSQL than the dumped one does not
/// know (the `pg_attver` column option that Debian's 15.20 stores) is taken out; a clause that only
/// 18 knows is replaced (see not_null_clauses.h).
class ScriptSplitter {
 public:
  using OnItem = std::function<void(RestoreItem)>;

  /// `known` must outlive it. Given `on_item`, each entry goes there when it is whole, and the
  /// script that Finish() returns has none.
  explicit ScriptSplitter(const std::set<int>& known, OnItem on_item = nullptr)
      : known_(known), on_item_(std::move(on_item)) {}

  /// Any piece of the script, cut anywhere.
  void Take(std::string_view piece);
  /// When all of it was taken; the splitter is of no use then. Terminal "ArchiveUnreadable".
  Result<RestoreScript> Finish();

 private:
  void Close(std::string_view body);

  const std::set<int>& known_;
  const OnItem on_item_;
  RestoreScript split_;
  std::optional<RestoreItem> item_;  ///< The current entry; none before the first.
  std::string text_;                 ///< What no entry has got yet, with the character before it.
  size_t body_ = 0;                  ///< Where in it the current entry's statements begin.
  size_t searched_ = 0;              ///< Up to where it holds no further announcement.
};

/// The same for a script that is there as a whole.
Result<RestoreScript> SplitScript(std::string_view script, const std::set<int>& known);

/// `sql` without `pg_attver=…` options, and without statements that set nothing else.
std::string WithoutAttributeVersions(std::string sql);

}  // namespace cutover::mover
