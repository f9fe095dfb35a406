// SPDX-License-Identifier: Apache-2.0
#include "mover/schema/large_objects.h"

#include <openssl/evp.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "mover/plan/role_names.h"
#include "operator/base/check.h"

namespace cutover::mover {
namespace {

constexpr int64_t kPieceBytes = 1 << 20;
constexpr int kObjectsPerTransaction = 200;

using Sink = std::function<Status(uint32_t oid, int64_t offset, const std::string& hex)>;

class Sha256 {
 public:
  Sha256() : context_(EVP_MD_CTX_new(), EVP_MD_CTX_free) {
    CHECK(context_ && EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr) == 1);
  }
  void Add(std::string_view bytes) {
    CHECK(EVP_DigestUpdate(context_.get(), bytes.data(), bytes.size()) == 1);
  }
  std::string Hex() {
    unsigned char hash[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    CHECK(EVP_DigestFinal_ex(context_.get(), hash, &size) == 1);
    std::string text;
    constexpr char kDigits[] = "0123456789abcdef";
    for (unsigned i = 0; i < size; ++i) {
      text += kDigits[hash[i] >> 4];
      text += kDigits[hash[i] & 15];
    }
    return text;
  }

 private:
  std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context_;
};

/// Without contents.
Result<LargeObjects> List(std::stop_token stop, pg::Connection& connection) {
  auto query = [&](const char* sql) { return connection.Query(stop, Deadline::Never(), sql); };
  TRY_ASSIGN(pg::Rows rows,
             query("SELECT m.oid, pg_catalog.pg_get_userbyid(m.lomowner),"
                   " coalesce(pg_catalog.obj_description(m.oid, 'pg_largeobject'), ''),"
                   " m.lomacl IS NULL FROM pg_catalog.pg_largeobject_metadata m"));
  LargeObjects objects;
  auto oid = [](const pg::Row row) { return static_cast<uint32_t>(row.Int(0)); };
  for (const pg::Row row : rows) {
    LargeObject& object = objects[oid(row)];
    object.owner = row.Text(1);
    object.comment = row.Text(2);
    object.default_acl = row.Bool(3);
  }
  TRY_ASSIGN(pg::Rows grants,
             query("SELECT m.oid, CASE WHEN a.grantee = 0 THEN ''"
                   " ELSE pg_catalog.pg_get_userbyid(a.grantee) END, a.privilege_type,"
                   " a.is_grantable FROM pg_catalog.pg_largeobject_metadata m,"
                   " pg_catalog.aclexplode(m.lomacl) a"));
  for (const pg::Row row : grants)
    objects[oid(row)].grants.push_back({"", row.Text(1), row.Text(2), row.Bool(3)});
  TRY_ASSIGN(pg::Rows labels, query("SELECT objoid, provider, label FROM pg_catalog.pg_seclabel"
                                    " WHERE classoid = 'pg_catalog.pg_largeobject'::regclass"
                                    " ORDER BY 1, 2"));
  for (const pg::Row row : labels) objects[oid(row)].labels.push_back({row.Text(1), row.Text(2)});
  for (auto& [number, object] : objects) std::sort(object.grants.begin(), object.grants.end());
  return objects;
}

/// Reads one object's content piece by piece; the hash is of the hexadecimal text, in whole pieces.
Status ReadContent(std::stop_token stop, pg::Connection& connection, uint32_t oid,
                   LargeObject& object, const std::function<void(int64_t)>& on_bytes,
                   const Sink& sink) {
  Sha256 hash;
  for (int64_t offset = 0;; offset += kPieceBytes) {
    TRY_ASSIGN(pg::Rows rows,
               connection.QueryOne(stop, Deadline::Never(),
                                   "SELECT encode(pg_catalog.lo_get($1::oid, $2::int8, $3), 'hex')",
                                   {oid, offset, kPieceBytes}));
    const std::string hex = rows[0].Text(0);
    hash.Add(hex);
    const int64_t bytes = static_cast<int64_t>(hex.size() / 2);
    if (sink) TRY(sink(oid, offset, hex));
    if (on_bytes) on_bytes(bytes);
    if (bytes < kPieceBytes) break;
  }
  object.content_sha256 = hash.Hex();
  return Ok();
}

std::string AccessStatements(uint32_t oid, const LargeObject& object) {
  const std::string name = "LARGE OBJECT " + std::to_string(oid);
  const std::string owner = pg::QuoteIdentifier(object.owner);
  std::string sql = "ALTER " + name + " OWNER TO " + owner + ";\n";
  if (!object.comment.empty())
    sql += "COMMENT ON " + name + " IS " + pg::QuoteLiteral(object.comment) + ";\n";
  for (const pg::SecurityLabel& label : object.labels)
    sql += "SECURITY LABEL FOR " + pg::QuoteIdentifier(label.provider) + " ON " + name + " IS " +
           pg::QuoteLiteral(label.label) + ";\n";
  if (object.default_acl) return sql;
  sql += "REVOKE ALL ON " + name + " FROM " + owner + ";\n";
  for (const pg::AclItem& grant : object.grants)
    sql += "GRANT " + grant.privilege + " ON " + name + " TO " +
           (grant.grantee.empty() ? "PUBLIC" : pg::QuoteIdentifier(grant.grantee)) +
           (grant.grantable ? " WITH GRANT OPTION;\n" : ";\n");
  return sql;
}

}  // namespace

Result<LargeObjects> ReadLargeObjects(std::stop_token stop, pg::Connection& connection,
                                      const std::function<void(int64_t)>& on_bytes) {
  TRY_ASSIGN(LargeObjects objects, List(stop, connection));
  for (auto& [oid, object] : objects)
    TRY(ReadContent(stop, connection, oid, object, on_bytes, nullptr));
  return objects;
}

std::string DescribeGrants(const LargeObject& object) {
  std::string text;
  for (const pg::AclItem& grant : object.grants)
    text += (text.empty() ? "" : "; ") + grant.privilege + " to " +
            (grant.grantee.empty() ? "PUBLIC" : grant.grantee) +
            (grant.grantable ? " with grant option" : "");
  return text;
}

Result<LargeObjects> CopyLargeObjects(std::stop_token stop, pg::Connection& source,
                                      pg::Connection& target,
                                      const std::function<void(int64_t)>& on_bytes,
                                      const std::map<std::string, std::string>& role_names) {
  TRY_ASSIGN(LargeObjects objects, List(stop, source));
  RenameRoles(role_names, objects);
  std::optional<pg::Transaction> transaction;
  int in_transaction = 0;
  const Sink write = [&](uint32_t oid, int64_t offset, const std::string& hex) -> Status {
    const char* sql = offset == 0
                          ? "SELECT pg_catalog.lo_from_bytea($1::oid, decode($2, 'hex'))"
                          : "SELECT pg_catalog.lo_put($1::oid, $3::int8, decode($2, 'hex'))";
    pg::Params params = {oid, hex};
    if (offset != 0) params.push_back(offset);
    TRY(target.Query(stop, Deadline::Never(), sql, params));
    return Ok();
  };
  for (auto& [oid, object] : objects) {
    if (!transaction) {
      TRY_ASSIGN(pg::Transaction begun, pg::Transaction::Begin(stop, Deadline::Never(), target));
      transaction.emplace(std::move(begun));
    }
    Status copied = ReadContent(stop, source, oid, object, on_bytes, write);
    if (copied) copied = transaction->Exec(stop, Deadline::Never(), AccessStatements(oid, object));
    if (!copied)
      return tl::make_unexpected(
          WithContext(std::move(copied).error(), "copying large object " + std::to_string(oid)));
    if (++in_transaction < kObjectsPerTransaction) continue;
    TRY(transaction->Commit(stop, Deadline::Never()));
    transaction.reset();
    in_transaction = 0;
  }
  if (transaction) TRY(transaction->Commit(stop, Deadline::Never()));
  return objects;
}

}  // namespace cutover::mover
