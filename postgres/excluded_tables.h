// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stop_token>
#include <string>
#include <vector>

#include "operator/base/deadline.h"
#include "operator/base/result.h"
#include "postgres/connection.h"

namespace cutover::pg {

/// A foreign key that cannot be added where the rows of an excluded table are missing: rows of a
/// table that is copied refer to them.
struct BrokenReference {
  std::string table;       ///< schema.name, whose rows refer.
  std::string constraint;  ///< The foreign key's name.
  std::string referenced;  ///< schema.name: the excluded table.
  /// False for a part of a key to partitions, which only comes or stays behind as a whole.
  bool whole = true;
  /// Where `table` is partitioned: schema.name of those of its partitions that hold rows and are
  /// not excluded.
  std::vector<std::string> partitions = {};

  /// As the dump's entry of the key is named.
  std::string Object() const { return "FK CONSTRAINT " + table + " " + constraint; }
  /// What could be excluded too: "public.note", or "public.note_1, public.note_2, the partitions of
  /// public.note,".
  std::string Referring() const;
};

/// A name that cannot be excluded, since it is none of a table with rows of its own.
struct NotExcludable {
  std::string name;          ///< As it was wanted.
  bool partitioned = false;  ///< Such a table is there, and its rows are those of its partitions.
  std::vector<std::string> partitions = {};  ///< As BrokenReference has them.

  /// In words, of one that is partitioned: why, and what to name instead.
  std::string WhatToName() const;
};

/// Those of `wanted` ("schema.table"), in the order of their names.
Result<std::vector<NotExcludable>> FindNotExcludable(std::stop_token stop, Deadline deadline,
                                                     Connection& connection,
                                                     const std::vector<std::string>& wanted);

/// Those of `connection`'s database, if the rows of the tables `excluded` ("schema.table") stayed
/// behind. Keys that are NOT VALID look at no row when they are added.
Result<std::vector<BrokenReference>> FindBrokenReferences(std::stop_token stop, Deadline deadline,
                                                          Connection& connection,
                                                          const std::vector<std::string>& excluded);

}  // namespace cutover::pg
