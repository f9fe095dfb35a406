// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stop_token>
#include <string>
#include <vector>

#include "operator/base/deadline.h"
#include "operator/base/result.h"
#include "postgres/connection.h"
#include "postgres/roles.h"

namespace cutover::mover {

/// A function of an extension and how it is marked. Odoo tells people to mark unaccent(text) as
/// IMMUTABLE for an index, and an index over earthdistance needs a search_path of its own; no dump
/// carries that, since the function is the extension's.
struct ExtensionFunction {
  std::string signature;              ///< Qualified and quoted, with argument types.
  std::string volatility;             ///< As ALTER FUNCTION says it.
  std::vector<std::string> marks;     ///< In the same way, one of each kind in a fixed order.
  std::vector<std::string> settings;  ///< SET clauses: "name=value".

  auto operator<=>(const ExtensionFunction&) const = default;
};

/// Pure: what ALTER FUNCTION has to say to make `there`, of the same signature, like `wanted`;
/// empty where they are alike. What an extension of another version marks otherwise is that
/// version's business, except what people are told to alter: volatility, and settings where the
/// other has none and is no SECURITY DEFINER.
std::string Alteration(const ExtensionFunction& wanted, const ExtensionFunction& there,
                       bool same_version);

/// Pure: `wanted` without what it may do beyond `there`, of the same signature and version:
/// SECURITY DEFINER, LEAKPROOF, and other settings of a function that is SECURITY DEFINER on both
/// sides. On the target an extension's functions belong to the role that makes it, ours for most.
ExtensionFunction WithoutPowers(ExtensionFunction wanted, const ExtensionFunction& there);

/// An extension's object that somebody has been given: neither the extension's owner nor a
/// superuser, as whom a trusted extension makes its objects. No dump carries that either.
struct OwnedMember {
  std::string object;  ///< As ALTER … OWNER TO takes it: "TABLE public.spatial_ref_sys".
  std::string owner;

  auto operator<=>(const OwnedMember&) const = default;
};

struct Extension {
  std::string name;
  std::string schema;
  std::string version;
  std::string owner;
  bool owner_is_superuser = false;
  std::string comment;
  std::vector<ExtensionFunction> functions;
  std::vector<OwnedMember> owned;  ///< In the order of their names.
};

Result<std::vector<OwnedMember>> ReadOwnedMembers(std::stop_token stop, Deadline deadline,
                                                  pg::Connection& connection,
                                                  const std::string& extension);

/// In the order of their creation, which is an order of dependence.
Result<std::vector<Extension>> ReadExtensions(std::stop_token stop, Deadline deadline,
                                              pg::Connection& connection);

/// Makes the target's extensions those of `wanted`. Their schemas and owners must exist. A trusted
/// one is created as its owner, who may then upgrade, comment and drop it as on the source; others
/// only as the role of `target` (the admin's), since they need a superuser. Versions are kept where
/// the target has them; another version is a warning, and so are another owner, of an object that
/// is not ours to give away, too, and a comment that is not ours to change.
/// Terminal "ExtensionMissing" names one that the target's server does not have.
/// kWithhold leaves functions WithoutPowers(), and says nothing of it.
/// Foreign keys between their tables are silenced, as their rows come in any order and were proven
/// on the source: EnableExtensionKeys() ends that, once the rows are there.
Result<std::vector<std::string>> PrepareExtensions(std::stop_token stop, Deadline deadline,
                                                   pg::Connection& target,
                                                   const std::vector<Extension>& wanted,
                                                   pg::Powers powers);

/// Safe to repeat.
Status EnableExtensionKeys(std::stop_token stop, Deadline deadline, pg::Connection& target);

}  // namespace cutover::mover
