// SPDX-License-Identifier: Apache-2.0
#include "mover/schema/extensions.h"

#include <algorithm>
#include <map>
#include <set>

namespace cutover::mover {
namespace {

using pg::Connection;
using pg::QuoteIdentifier;
using pg::QuoteLiteral;

Result<std::vector<ExtensionFunction>> ReadFunctions(std::stop_token stop, Deadline deadline,
                                                     Connection& connection,
                                                     const std::string& extension) {
  // regprocedure's text would leave pg_catalog's functions unqualified; both sides do it alike.
  TRY_ASSIGN(pg::Rows rows, connection.Query(stop, deadline,
                                             "SELECT p.oid::regprocedure::text, p.provolatile"
                                             " FROM pg_catalog.pg_proc p"
                                             " JOIN pg_catalog.pg_depend d ON d.classid ="
                                             " 'pg_catalog.pg_proc'::regclass AND d.objid = p.oid"
                                             " AND d.deptype = 'e'"
                                             " JOIN pg_catalog.pg_extension e ON e.oid = d.refobjid"
                                             " WHERE e.extname = $1 AND p.prokind = 'f' ORDER BY 1",
                                             {extension}));
  std::vector<ExtensionFunction> functions;
  for (const pg::Row row : rows) functions.push_back({row.Text(0), row.Text(1)});
  return functions;
}

/// Whether the target's server can create it, and whether in that version.
Result<bool> HasVersion(std::stop_token stop, Deadline deadline, Connection& target,
                        const Extension& extension) {
  TRY_ASSIGN(pg::Rows rows,
             target.QueryOne(stop, deadline,
                             "SELECT count(*), count(*) FILTER (WHERE version = $2)"
                             " FROM pg_catalog.pg_available_extension_versions WHERE name = $1",
                             {extension.name, extension.version}));
  if (rows[0].Int(0) == 0)
    return TerminalError("ExtensionMissing", "the target's server has no extension '" +
                                                 extension.name +
                                                 "'; install its package there, then try again");
  return rows[0].Int(1) > 0;
}

std::string_view VolatilityWord(const std::string& letter) {
  return letter == "i" ? "IMMUTABLE" : letter == "s" ? "STABLE" : "VOLATILE";
}

Status AlignFunctions(std::stop_token stop, Deadline deadline, Connection& target,
                      const Extension& extension) {
  TRY_ASSIGN(auto there, ReadFunctions(stop, deadline, target, extension.name));
  std::map<std::string, std::string> volatility;
  for (const ExtensionFunction& function : there)
    volatility[function.signature] = function.volatility;
  for (const ExtensionFunction& function : extension.functions) {
    auto found = volatility.find(function.signature);
    // A function that only one of two versions has is the versions' business.
    if (found == volatility.end() || found->second == function.volatility) continue;
    TRY(target.Exec(stop, deadline,
                    "ALTER FUNCTION " + function.signature + " " +
                        std::string(VolatilityWord(function.volatility))));
  }
  return Ok();
}

}  // namespace

Result<std::vector<Extension>> ReadExtensions(std::stop_token stop, Deadline deadline,
                                              Connection& connection) {
  TRY_ASSIGN(pg::Rows rows,
             connection.Query(stop, deadline,
                              "SELECT e.extname, n.nspname, e.extversion,"
                              " coalesce(pg_catalog.obj_description(e.oid, 'pg_extension'), '')"
                              " FROM pg_catalog.pg_extension e"
                              " JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace"
                              " ORDER BY e.oid"));
  std::vector<Extension> extensions;
  for (const pg::Row row : rows) {
    Extension extension{row.Text(0), row.Text(1), row.Text(2), row.Text(3), {}};
    TRY_ASSIGN(extension.functions, ReadFunctions(stop, deadline, connection, extension.name));
    extensions.push_back(std::move(extension));
  }
  return extensions;
}

Result<std::vector<std::string>> PrepareExtensions(std::stop_token stop, Deadline deadline,
                                                   Connection& target,
                                                   const std::vector<Extension>& wanted) {
  std::vector<std::string> warnings;
  TRY_ASSIGN(std::vector<Extension> before, ReadExtensions(stop, deadline, target));
  std::set<std::string> there;
  for (const Extension& extension : before) {
    there.insert(extension.name);
    const bool kept = std::any_of(wanted.begin(), wanted.end(), [&](const Extension& candidate) {
      return candidate.name == extension.name;
    });
    // A new database has plpgsql; a source that dropped it shall be met.
    if (!kept)
      TRY(target.Exec(stop, deadline, "DROP EXTENSION " + QuoteIdentifier(extension.name)));
  }
  for (const Extension& extension : wanted) {
    if (!there.contains(extension.name)) {
      TRY_ASSIGN(bool same_version, HasVersion(stop, deadline, target, extension));
      TRY(target.Exec(stop, deadline,
                      "CREATE EXTENSION " + QuoteIdentifier(extension.name) + " WITH SCHEMA " +
                          QuoteIdentifier(extension.schema) +
                          (same_version ? " VERSION " + QuoteLiteral(extension.version) : "")));
      if (!same_version)
        warnings.push_back("extension " + extension.name + " is of version " + extension.version +
                           " on the source, which the target's server does not offer; it got its "
                           "own default version");
    }
    TRY(target.Exec(stop, deadline,
                    "COMMENT ON EXTENSION " + QuoteIdentifier(extension.name) + " IS " +
                        (extension.comment.empty() ? "NULL" : QuoteLiteral(extension.comment))));
    TRY(AlignFunctions(stop, deadline, target, extension));
  }
  return warnings;
}

}  // namespace cutover::mover
