// SPDX-License-Identifier: Apache-2.0
#include "mover/schema/extensions.h"

#include <algorithm>
#include <map>
#include <set>

#include "postgres/database.h"

namespace cutover::mover {
namespace {

using pg::Connection;
using pg::QuoteIdentifier;
using pg::QuoteLiteral;

constexpr std::string_view kDefiner = "SECURITY DEFINER", kLeakproof = "LEAKPROOF";

constexpr char kFunctions[] = R"(
SELECT p.oid::regprocedure::text,
       CASE p.provolatile WHEN 'i' THEN 'IMMUTABLE' WHEN 's' THEN 'STABLE' ELSE 'VOLATILE' END,
       ARRAY['PARALLEL ' || CASE p.proparallel WHEN 's' THEN 'SAFE' WHEN 'r' THEN 'RESTRICTED'
                                               ELSE 'UNSAFE' END,
             CASE WHEN p.prosecdef THEN 'SECURITY DEFINER' ELSE 'SECURITY INVOKER' END,
             CASE WHEN p.proisstrict THEN 'STRICT' ELSE 'CALLED ON NULL INPUT' END,
             CASE WHEN p.proleakproof THEN 'LEAKPROOF' ELSE 'NOT LEAKPROOF' END,
             'COST ' || p.procost, CASE WHEN p.proretset THEN 'ROWS ' || p.prorows ELSE '' END],
       coalesce(p.proconfig, '{}')
FROM pg_catalog.pg_proc p
JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_proc'::regclass AND d.objid = p.oid
     AND d.deptype = 'e'
JOIN pg_catalog.pg_extension e ON e.oid = d.refobjid
WHERE e.extname = $1 AND p.prokind = 'f' ORDER BY 1)";

Result<std::vector<ExtensionFunction>> ReadFunctions(std::stop_token stop, Deadline deadline,
                                                     Connection& connection,
                                                     const std::string& extension) {
  // regprocedure's text would leave pg_catalog's functions unqualified; both sides do it alike.
  TRY_ASSIGN(pg::Rows rows, connection.Query(stop, deadline, kFunctions, {extension}));
  std::vector<ExtensionFunction> functions;
  for (const pg::Row row : rows)
    functions.push_back({row.Text(0), row.Text(1), row.TextArray(2), row.TextArray(3)});
  return functions;
}

bool IsDefiner(const ExtensionFunction& function) {
  return std::find(function.marks.begin(), function.marks.end(), kDefiner) != function.marks.end();
}

struct Offer {
  bool same_version = false;
  bool owner_can_create = false;  ///< Trusted, and the owner there is no superuser.
};

/// Members first, and names last: a database has thousands of routines, and to name one by its
/// arguments takes longer than to find it.
constexpr char kOwned[] = R"(
WITH member AS MATERIALIZED (
  SELECT d.classid, d.objid, e.extowner
    FROM pg_catalog.pg_extension e JOIN pg_catalog.pg_depend d
         ON d.refclassid = 'pg_catalog.pg_extension'::regclass AND d.refobjid = e.oid
   WHERE d.deptype = 'e' AND e.extname = $1),
owned AS MATERIALIZED (
  SELECT m.*, c.relowner AS owner,
         CASE c.relkind WHEN 'v' THEN 'VIEW' WHEN 'm' THEN 'MATERIALIZED VIEW'
                        WHEN 'S' THEN 'SEQUENCE' WHEN 'f' THEN 'FOREIGN TABLE'
                        ELSE 'TABLE' END AS kind
    FROM member m JOIN pg_catalog.pg_class c ON c.oid = m.objid
   WHERE m.classid = 'pg_catalog.pg_class'::regclass
     AND c.relkind IN ('r', 'p', 'v', 'm', 'S', 'f')
  UNION ALL
  SELECT m.*, p.proowner, 'ROUTINE' FROM member m JOIN pg_catalog.pg_proc p ON p.oid = m.objid
   WHERE m.classid = 'pg_catalog.pg_proc'::regclass
  UNION ALL
  SELECT m.*, n.nspowner, 'SCHEMA' FROM member m JOIN pg_catalog.pg_namespace n ON n.oid = m.objid
   WHERE m.classid = 'pg_catalog.pg_namespace'::regclass)
SELECT o.kind || ' ' || CASE o.kind WHEN 'ROUTINE' THEN o.objid::regprocedure::text
                                    WHEN 'SCHEMA' THEN o.objid::regnamespace::text
                                    ELSE o.objid::regclass::text END, r.rolname
  FROM owned o JOIN pg_catalog.pg_roles r ON r.oid = o.owner
 WHERE o.owner <> o.extowner AND NOT r.rolsuper ORDER BY 1)";

/// What the target's server can create.
Result<Offer> ReadOffer(std::stop_token stop, Deadline deadline, Connection& target,
                        const Extension& extension) {
  TRY_ASSIGN(pg::Rows rows,
             target.QueryOne(stop, deadline,
                             "SELECT count(*), count(*) FILTER (WHERE version = $2),"
                             " coalesce(bool_and(trusted), false) AND EXISTS (SELECT FROM"
                             "  pg_catalog.pg_roles WHERE rolname = $3 AND NOT rolsuper"
                             "  AND rolname <> current_user)"
                             " FROM pg_catalog.pg_available_extension_versions WHERE name = $1",
                             {extension.name, extension.version, extension.owner}));
  if (rows[0].Int(0) == 0)
    return TerminalError("ExtensionMissing", "the target's server has no extension '" +
                                                 extension.name +
                                                 "'; install its package there, then try again");
  return Offer{rows[0].Int(1) > 0, rows[0].Bool(2)};
}

/// The owner needs CREATE on the database for it, which nobody has while it is closed, unless it
/// was lent to him; he gets it inside the transaction only.
Status CreateAsOwner(std::stop_token stop, Deadline deadline, Connection& target,
                     const Extension& extension, const std::string& statement) {
  TRY_ASSIGN(pg::Rows rows,
             target.QueryOne(stop, deadline,
                             "SELECT current_database(), pg_catalog.has_database_privilege($1,"
                             " current_database(), 'CREATE')",
                             {extension.owner}));
  const std::string owner = QuoteIdentifier(extension.owner);
  std::string lend, take_back;
  if (!rows[0].Bool(1)) {
    const std::string database = QuoteIdentifier(rows[0].Text(0));
    lend = "GRANT CREATE ON DATABASE " + database + " TO " + owner + "; ";
    take_back = "REVOKE CREATE ON DATABASE " + database + " FROM " + owner;
  }
  TRY_ASSIGN(pg::Transaction transaction, pg::Transaction::Begin(stop, deadline, target));
  TRY(transaction.Exec(
      stop, deadline,
      lend + "SET LOCAL ROLE " + owner + "; " + statement + "; SET LOCAL ROLE NONE; " + take_back));
  return transaction.Commit(stop, deadline);
}

Status Create(std::stop_token stop, Deadline deadline, Connection& target,
              const Extension& extension, std::vector<std::string>& warnings) {
  TRY_ASSIGN(Offer offer, ReadOffer(stop, deadline, target, extension));
  const std::string statement =
      "CREATE EXTENSION " + QuoteIdentifier(extension.name) + " WITH SCHEMA " +
      QuoteIdentifier(extension.schema) +
      (offer.same_version ? " VERSION " + QuoteLiteral(extension.version) : "");
  if (!offer.same_version)
    warnings.push_back("extension " + extension.name + " is of version " + extension.version +
                       " on the source, which the target's server does not offer; it got its "
                       "own default version");
  if (offer.owner_can_create) return CreateAsOwner(stop, deadline, target, extension, statement);
  return target.Exec(stop, deadline, statement);
}

/// Only where it differs: an extension that came with the database is not ours to comment.
Status AlignComment(std::stop_token stop, Deadline deadline, Connection& target,
                    const Extension& extension, std::vector<std::string>& warnings) {
  TRY_ASSIGN(pg::Rows rows,
             target.QueryOne(stop, deadline,
                             "SELECT coalesce(pg_catalog.obj_description(oid, 'pg_extension'), '')"
                             " FROM pg_catalog.pg_extension WHERE extname = $1",
                             {extension.name}));
  if (rows[0].Text(0) == extension.comment) return Ok();
  Status done =
      target.Exec(stop, deadline,
                  "COMMENT ON EXTENSION " + QuoteIdentifier(extension.name) + " IS " +
                      (extension.comment.empty() ? "NULL" : QuoteLiteral(extension.comment)));
  if (done || done.error().reason != "InsufficientPrivilege") return done;
  warnings.push_back("the comment of extension " + extension.name +
                     " stayed the target's own, since only its owner may change it");
  return Ok();
}

/// `extension` is the source's, `version` the target's.
Status AlignFunctions(std::stop_token stop, Deadline deadline, Connection& target,
                      const Extension& extension, const std::string& version, pg::Powers powers) {
  TRY_ASSIGN(auto there, ReadFunctions(stop, deadline, target, extension.name));
  std::map<std::string, const ExtensionFunction*> by_signature;
  for (const ExtensionFunction& function : there) by_signature[function.signature] = &function;
  for (const ExtensionFunction& function : extension.functions) {
    auto found = by_signature.find(function.signature);
    // A function that only one of two versions has is the versions' business.
    if (found == by_signature.end()) continue;
    const std::string alteration = Alteration(
        powers == pg::Powers::kWithhold ? WithoutPowers(function, *found->second) : function,
        *found->second, extension.version == version);
    if (!alteration.empty())
      TRY(target.Exec(stop, deadline, "ALTER FUNCTION " + function.signature + alteration));
  }
  return Ok();
}

Result<std::string> ReadVersion(std::stop_token stop, Deadline deadline, Connection& target,
                                const std::string& extension) {
  TRY_ASSIGN(pg::Rows rows,
             target.QueryOne(stop, deadline,
                             "SELECT extversion FROM pg_catalog.pg_extension WHERE extname = $1",
                             {extension}));
  return rows[0].Text(0);
}

/// What another version has no more, or we may not give away, keeps its owner.
Status AlignOwners(std::stop_token stop, Deadline deadline, Connection& target,
                   const Extension& extension, std::vector<std::string>& warnings) {
  for (const OwnedMember& member : extension.owned) {
    Status done = target.Exec(
        stop, deadline, "ALTER " + member.object + " OWNER TO " + QuoteIdentifier(member.owner));
    if (done) continue;
    if (!target.usable() || done.error().disposition != Disposition::kTerminal) return done;
    warnings.push_back(member.object + " of extension " + extension.name + " does not belong to " +
                       member.owner +
                       " on the target, as it does on the source: " + done.error().message);
  }
  return Ok();
}

/// An extension has no ALTER … OWNER, so another owner can only be told.
void NoteOwners(const std::vector<Extension>& wanted, const std::vector<Extension>& there,
                std::vector<std::string>& warnings) {
  for (const Extension& extension : wanted) {
    auto found = std::find_if(there.begin(), there.end(), [&](const Extension& candidate) {
      return candidate.name == extension.name;
    });
    if (found == there.end() || found->owner == extension.owner ||
        (found->owner_is_superuser && extension.owner_is_superuser))
      continue;
    warnings.push_back("extension " + extension.name + " belongs to " + found->owner +
                       " on the target, to " + extension.owner + " on the source");
  }
}

/// Foreign keys' triggers on tables of extensions that are (not) enabled, by ALTER TABLE statements
/// that change that. Only a superuser may.
Status SwitchKeys(std::stop_token stop, Deadline deadline, Connection& target, bool enable) {
  TRY_ASSIGN(pg::Rows rows,
             target.Query(stop, deadline,
                          "SELECT format('ALTER TABLE %I.%I %s TRIGGER %I', n.nspname, c.relname,"
                          " $1::text, t.tgname) FROM pg_catalog.pg_trigger t"
                          " JOIN pg_catalog.pg_class c ON c.oid = t.tgrelid"
                          " JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
                          " JOIN pg_catalog.pg_depend d ON d.classid ="
                          "  'pg_catalog.pg_class'::regclass AND d.objid = c.oid"
                          "  AND d.deptype = 'e'"
                          " WHERE t.tgisinternal AND t.tgconstraint <> 0 AND t.tgenabled = $2"
                          " AND (SELECT rolsuper FROM pg_catalog.pg_roles"
                          "  WHERE rolname = current_user)",
                          {enable ? "ENABLE" : "DISABLE", enable ? "D" : "O"}));
  for (const pg::Row row : rows) TRY(target.Exec(stop, deadline, row.Text(0)));
  return Ok();
}

}  // namespace

std::string Alteration(const ExtensionFunction& wanted, const ExtensionFunction& there,
                       bool same_version) {
  std::string sql;
  if (wanted.volatility != there.volatility) sql += " " + wanted.volatility;
  for (size_t at = 0; same_version && at < wanted.marks.size(); ++at)
    if (wanted.marks[at] != there.marks.at(at)) sql += " " + wanted.marks[at];
  if (wanted.settings == there.settings) return sql;
  if (!same_version && (!there.settings.empty() || IsDefiner(there))) return sql;
  if (!there.settings.empty()) sql += " RESET ALL";
  for (const std::string& setting : wanted.settings) {
    const size_t end = setting.find('=');
    sql += " " + pg::SetClause(setting.substr(0, end), setting.substr(end + 1));
  }
  return sql;
}

ExtensionFunction WithoutPowers(ExtensionFunction wanted, const ExtensionFunction& there) {
  for (size_t at = 0; at < wanted.marks.size(); ++at)
    if (wanted.marks[at] == kDefiner || wanted.marks[at] == kLeakproof)
      wanted.marks[at] = there.marks.at(at);
  // Its search_path decides what it calls.
  if (IsDefiner(wanted)) wanted.settings = there.settings;
  return wanted;
}

Result<std::vector<OwnedMember>> ReadOwnedMembers(std::stop_token stop, Deadline deadline,
                                                  Connection& connection,
                                                  const std::string& extension) {
  TRY_ASSIGN(pg::Rows rows, connection.Query(stop, deadline, kOwned, {extension}));
  std::vector<OwnedMember> owned;
  for (const pg::Row row : rows) owned.push_back({row.Text(0), row.Text(1)});
  return owned;
}

Result<std::vector<Extension>> ReadExtensions(std::stop_token stop, Deadline deadline,
                                              Connection& connection) {
  TRY_ASSIGN(pg::Rows rows,
             connection.Query(stop, deadline,
                              "SELECT e.extname, n.nspname, e.extversion,"
                              " r.rolname, r.rolsuper,"
                              " coalesce(pg_catalog.obj_description(e.oid, 'pg_extension'), '')"
                              " FROM pg_catalog.pg_extension e"
                              " JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace"
                              " JOIN pg_catalog.pg_roles r ON r.oid = e.extowner"
                              " ORDER BY e.oid"));
  std::vector<Extension> extensions;
  for (const pg::Row row : rows) {
    Extension extension{row.Text(0), row.Text(1), row.Text(2), row.Text(3),
                        row.Bool(4), row.Text(5), {},          {}};
    TRY_ASSIGN(extension.functions, ReadFunctions(stop, deadline, connection, extension.name));
    TRY_ASSIGN(extension.owned, ReadOwnedMembers(stop, deadline, connection, extension.name));
    extensions.push_back(std::move(extension));
  }
  return extensions;
}

Result<std::vector<std::string>> PrepareExtensions(std::stop_token stop, Deadline deadline,
                                                   Connection& target,
                                                   const std::vector<Extension>& wanted,
                                                   pg::Powers powers) {
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
    if (!there.contains(extension.name)) TRY(Create(stop, deadline, target, extension, warnings));
    TRY(AlignComment(stop, deadline, target, extension, warnings));
    TRY_ASSIGN(const std::string version, ReadVersion(stop, deadline, target, extension.name));
    TRY(AlignFunctions(stop, deadline, target, extension, version, powers));
    TRY(AlignOwners(stop, deadline, target, extension, warnings));
  }
  TRY(SwitchKeys(stop, deadline, target, false));
  TRY_ASSIGN(std::vector<Extension> after, ReadExtensions(stop, deadline, target));
  NoteOwners(wanted, after, warnings);
  return warnings;
}

Status EnableExtensionKeys(std::stop_token stop, Deadline deadline, Connection& target) {
  return SwitchKeys(stop, deadline, target, true);
}

}  // namespace cutover::mover
