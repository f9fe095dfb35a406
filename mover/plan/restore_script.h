// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "mover/plan/sql_tokens.h"
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

/// What `pg_restore --list` says of each entry behind its dump id: "1259 16475 TABLE public p
/// admin".
using TableOfContents = std::map<int, std::string>;

/// Terminal "ArchiveUnreadable" for what is no listing, or names an entry twice.
Result<TableOfContents> ParseTableOfContents(std::string_view listing);

/// Splits a script into its entries while it comes, so that it never stands in memory beside them.
/// Texts of the tenant (bodies of functions, comments, literals, names) may look like
/// announcements of entries; what such an entry holds would be executed with the admin's rights.
/// Hence an announcement is one only where the SQL before it is in the middle of nothing, and each
/// must be of an entry of the table of contents, be what that says it is, and come once.
///
/// What psql alone understands (\restrict) and what another PostgreSQL than the dumped one does not
/// know (the `pg_attver` column option that Debian's 15.20 stores) is taken out; a clause that only
/// 18 knows is replaced (see not_null_clauses.h).
class ScriptSplitter {
 public:
  using OnItem = std::function<void(RestoreItem)>;

  /// `contents` must outlive it. Given `on_item`, each entry goes there when it is whole, and the
  /// script that Finish() returns has none. Entries are to be trusted only once Finish() succeeds.
  explicit ScriptSplitter(const TableOfContents& contents, OnItem on_item = nullptr)
      : contents_(contents), on_item_(std::move(on_item)) {}

  /// Any piece of the script, cut anywhere.
  void Take(std::string_view piece);
  /// When all of it was taken; the splitter is of no use then. Terminal "ArchiveUnreadable", also
  /// when an entry did not come, came twice, or is another than the table of contents says.
  Result<RestoreScript> Finish();

 private:
  bool ClosedBefore(size_t announcement);
  void Admit(const RestoreItem& item);
  void Close(std::string_view body);

  const TableOfContents& contents_;
  const OnItem on_item_;
  std::set<int> seen_;   ///< Of their ids.
  std::string refused_;  ///< What came twice, or is not as the table of contents has it.
  SqlNesting nesting_;   ///< Of the current entry's statements, or the preamble.
  size_t nested_ = 0;    ///< Up to where in the text that has got them.
  RestoreScript split_;
  std::optional<RestoreItem> item_;  ///< The current entry; none before the first.
  std::string text_;                 ///< What no entry has got yet, with the character before it.
  size_t body_ = 0;                  ///< Where in it the current entry's statements begin.
  size_t searched_ = 0;              ///< Up to where it holds no further announcement.
};

/// The same for a script that is there as a whole.
Result<RestoreScript> SplitScript(std::string_view script, const TableOfContents& contents);

/// `sql` without `pg_attver=…` options, and without statements that set nothing else. What stands
/// in quotes stays.
std::string WithoutAttributeVersions(std::string sql);

}  // namespace cutover::mover
