// SPDX-License-Identifier: Apache-2.0
#include "reconcilers/migration/profiles/odoo.h"

#include <openssl/evp.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "operator/base/enumerate.h"
#include "reconcilers/migration/checks/http_check.h"
#include "reconcilers/migration/profiles/common.h"

namespace cutover::migration {
namespace {

using api::CheckWhen;
using Columns = std::set<std::string>;

// A first page after a start compiles templates and asset bundles, which takes its time.
constexpr int kPageSecondsMax = 120;
constexpr int kFigureSecondsMax = 60;
constexpr size_t kModulesNamedMax = 10;

// A session that reads Odoo's tables, or knows that they are not there.
class Reader {
 public:
  static Result<Reader> Begin(std::stop_token stop, Deadline deadline, pg::Connection& connection) {
    TRY_ASSIGN(pg::Transaction transaction, BeginReading(stop, deadline, connection));
    return Reader(stop, deadline, std::move(transaction));
  }

  Result<Columns> Lock(std::string_view table) {
    return LockPlainTable(stop_, deadline_, transaction_, table);
  }
  Result<pg::Rows> Query(const std::string& sql, const pg::Params& params = {}) {
    return transaction_.Query(stop_, deadline_, sql, params);
  }

  /// Sets `figure` to the number of rows of `table` that meet `condition`, if it has `columns`.
  Status Count(Json& figures, std::string_view figure, const std::string& table,
               const Columns& needed, const std::string& condition) {
    TRY_ASSIGN(Columns columns, Lock(table));
    if (!std::includes(columns.begin(), columns.end(), needed.begin(), needed.end())) return Ok();
    // ONLY: a parent's count would include those who inherit from it.
    TRY_ASSIGN(pg::Rows rows, Query("SELECT pg_catalog.count(*) FROM ONLY public." + table +
                                    " WHERE " + condition));
    figures.Set(figure, rows[0].Int(0));
    return Ok();
  }

 private:
  Reader(std::stop_token stop, Deadline deadline, pg::Transaction transaction)
      : stop_(std::move(stop)), deadline_(deadline), transaction_(std::move(transaction)) {}

  std::stop_token stop_;
  Deadline deadline_;
  pg::Transaction transaction_;
};

Result<Json> ReadFigures(Reader& reader) {
  Json figures = Json::Object();
  TRY(reader.Count(figures, "activeUsers", "res_users", {"active", "id"}, "active"));
  TRY(reader.Count(figures, "partners", "res_partner", {"id"}, "true"));
  TRY(reader.Count(figures, "installedModules", "ir_module_module", {"state"},
                   "state = 'installed'"));
  return figures;
}

// The secret signs sessions and password resets; it never leaves the server, only its digest does.
Result<Json> ReadParameters(Reader& reader) {
  Json parameters = Json::Object();
  TRY_ASSIGN(Columns columns, reader.Lock("ir_config_parameter"));
  if (!columns.contains("key") || !columns.contains("value")) return parameters;
  TRY_ASSIGN(pg::Rows rows,
             reader.Query("SELECT key, CASE key WHEN 'database.secret' THEN pg_catalog.encode("
                          "pg_catalog.sha256(pg_catalog.convert_to(value, 'UTF8')), 'hex') "
                          "ELSE value END FROM ONLY public.ir_config_parameter WHERE key IN "
                          "('web.base.url', 'database.uuid', 'database.secret') ORDER BY key"));
  for (pg::Row row : rows) parameters.Set(row.Text(0), row.Text(1));
  return parameters;
}

constexpr char kAttachmentColumns[] =
    "SELECT id, store_fname, checksum, file_size, public FROM ONLY public.ir_attachment ";

// Asset bundles have a URL and are made anew at will; everything else stays what it is. Public ones
// first, since only these can be asked for without a login.
constexpr char kSampleAttachments[] =
    "WHERE type = 'binary' AND url IS NULL AND checksum IS NOT NULL "
    "AND file_size BETWEEN 1 AND 1048576 "
    "ORDER BY public IS TRUE DESC, res_field IS NULL DESC, id LIMIT 5";

Json AttachmentsOf(const pg::Rows& rows) {
  Json attachments = Json::Object();
  for (pg::Row row : rows)
    attachments.Set(row.Text(0), Json::Object({{"storeFname", row.Text(1)},
                                               {"checksum", row.Text(2)},
                                               {"bytes", row.Int(3)},
                                               {"public", row.Bool(4)}}));
  return attachments;
}

Result<Json> ReadAttachments(Reader& reader, const std::string& condition,
                             const pg::Params& params = {}) {
  static const Columns needed = {"checksum",  "file_size",   "id",   "public",
                                 "res_field", "store_fname", "type", "url"};
  TRY_ASSIGN(Columns columns, reader.Lock("ir_attachment"));
  if (!std::includes(columns.begin(), columns.end(), needed.begin(), needed.end()))
    return Json::Object();
  TRY_ASSIGN(pg::Rows rows, reader.Query(kAttachmentColumns + condition, params));
  return AttachmentsOf(rows);
}

Result<Reader> ReadAsTenant(std::stop_token stop, Deadline deadline, const CheckContext& context,
                            std::optional<pg::Connection>& connection) {
  TRY_ASSIGN(connection, ConnectAsTenant(stop, deadline, context));
  return Reader::Begin(stop, deadline, *connection);
}

// --- pages ---------------------------------------------------------------------------------------

/// Where users' requests for "/" go, past the route.
const wiring::RouteBackend* MainBackend(const std::vector<wiring::RouteBackend>& backends) {
  auto shorter = [](const auto& a, const auto& b) { return a.path.size() < b.path.size(); };
  auto found = std::min_element(backends.begin(), backends.end(), shorter);
  return found == backends.end() ? nullptr : &*found;
}

using OnAnswer = std::function<Result<std::string>(const kube::Response&)>;

/// GETs `path` of the workload under the name that users know it by, and judges a 200 by `judge`.
Result<std::string> AskWorkload(std::stop_token stop, Deadline deadline,
                                const CheckContext& context, const std::string& path,
                                const OnAnswer& judge) {
  if (!context.backends.known()) return tl::make_unexpected(context.backends.error());
  const wiring::RouteBackend* backend = MainBackend(*context.backends);
  if (!backend) return "the placement has no route, no page was asked for";
  api::HttpCheck check;
  check.url = backend->ServiceUrl(context.namespace_name) + path;
  check.host = backend->host;
  TRY_ASSIGN(kube::Response response, Get(stop, deadline, context.http, check.url, check.host));
  TRY(Judge(check, response));
  return judge(response);
}

/// The path of the first asset bundle that `page` links, or an empty text.
std::string AssetBundleIn(std::string_view page) {
  for (std::string_view prefix : {"/web/assets/", "/web/content/"}) {
    for (size_t at = page.find(prefix); at != page.npos; at = page.find(prefix, at + 1)) {
      std::string_view path = page.substr(at, page.find_first_of("\"'<> ?&", at) - at);
      // Odoo up to 14 serves bundles as attachments, beside icons and logos.
      if (path.ends_with(".css") || path.ends_with(".js")) return std::string(path);
    }
  }
  return "";
}

std::string Sha1(std::string_view bytes) {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned int size = 0;
  if (EVP_Digest(bytes.data(), bytes.size(), digest, &size, EVP_sha1(), nullptr) != 1) return "";
  static constexpr char kHex[] = "0123456789abcdef";
  std::string text;
  for (unsigned int i = 0; i < size; ++i) {
    text += kHex[digest[i] >> 4];
    text += kHex[digest[i] & 15];
  }
  return text;
}

Result<std::string> LoginPage(std::stop_token stop, Deadline deadline,
                              const CheckContext& context) {
  return AskWorkload(stop, deadline, context, "/web/login", [](const kube::Response&) {
    return Result<std::string>("the login page is there");
  });
}

Result<std::string> AssetBundle(std::stop_token stop, Deadline deadline,
                                const CheckContext& context) {
  auto follow = [&](const kube::Response& page) -> Result<std::string> {
    std::string path = AssetBundleIn(page.body);
    if (path.empty())
      return RetryError("AssetBundleMissing", "the login page links no asset bundle");
    return AskWorkload(stop, deadline, context, path,
                       [&path](const kube::Response& bundle) -> Result<std::string> {
                         if (bundle.body.empty())
                           return RetryError("AssetBundleEmpty", path + " is empty");
                         return path + " is served";
                       });
  };
  return AskWorkload(stop, deadline, context, "/web/login", follow);
}

/// The very bytes, by the checksum that Odoo keeps of them. A workload behind a web server that
/// sends files itself answers with the file's place instead.
Result<std::string> JudgeFile(const std::string& id, const Json& attachment,
                              const kube::Response& response) {
  bool sent_by_proxy = response.Header("X-Accel-Redirect") || response.Header("X-Sendfile");
  std::string checksum = attachment["checksum"].AsString();
  if (!sent_by_proxy && checksum.size() == 40 && Sha1(response.body) != checksum)
    return RetryError("AttachmentDiffers", "the file of attachment " + id + " is served with " +
                                               std::to_string(response.body.size()) +
                                               " bytes that are not those of its checksum");
  return "attachment " + id + " is served";
}

/// One file is enough, and none is asked too much: tenants come with files that were missing long
/// before, and only a public one can be asked for without a login.
Result<std::string> AttachmentServed(std::stop_token stop, Deadline deadline,
                                     const CheckContext& context, const Json& attachments) {
  std::optional<Result<std::string>> first_failure;
  for (const auto& [id, attachment] : attachments.Members()) {
    if (!attachment["public"].AsBool()) continue;
    auto served = AskWorkload(stop, deadline, context, "/web/content/" + id,
                              [&, id = id, &file = attachment](const kube::Response& response) {
                                return JudgeFile(id, file, response);
                              });
    if (served) return served;
    if (!first_failure) first_failure = std::move(served);
  }
  if (first_failure) return *first_failure;
  return "there is no public attachment to ask for";
}

// --- figures -------------------------------------------------------------------------------------

using ReadPart = std::function<Result<Json>(Reader&)>;

/// A check that reads `read` as the tenant and compares it with `expected`, which stays as it is
/// while users work.
BuiltinCheck Compare(std::string name, Json expected, ReadPart read) {
  auto run = [expected = std::move(expected), read = std::move(read)](
                 std::stop_token stop, Deadline deadline,
                 const CheckContext& context) -> Result<std::string> {
    std::optional<pg::Connection> connection;
    TRY_ASSIGN(Reader reader, ReadAsTenant(stop, deadline, context, connection));
    TRY_ASSIGN(Json found, read(reader));
    TRY(CompareFigures(expected, found));
    return std::string("as on the source");
  };
  return {std::move(name), {CheckWhen::kSmoke}, kFigureSecondsMax, std::move(run)};
}

/// The same of what users change.
BuiltinCheck CompareWhileUsersAreOut(std::string name, Json expected, ReadPart read) {
  BuiltinCheck check = Compare(std::move(name), std::move(expected), std::move(read));
  check.needs_users_out = true;
  return check;
}

BuiltinCheck CompareAttachments(const Json& expected) {
  std::vector<std::string> ids;
  for (const auto& [id, attachment] : expected.Members()) ids.push_back(id);
  return CompareWhileUsersAreOut("profile/attachments", expected, [ids](Reader& reader) {
    return ReadAttachments(reader, "WHERE id = ANY ($1::pg_catalog.int4[])", {ids});
  });
}

}  // namespace

Result<std::vector<Finding>> OdooProfile::Preflight(std::stop_token stop, Deadline deadline,
                                                    pg::Connection& source) const {
  TRY_ASSIGN(Reader reader, Reader::Begin(stop, deadline, source));
  TRY_ASSIGN(Columns columns, reader.Lock("ir_module_module"));
  std::vector<Finding> findings;
  if (!columns.contains("name") || !columns.contains("state")) {
    findings.push_back({Severity::kBlocking, "NotAnOdooDatabase",
                        "database " + source.options().database +
                            " has no table ir_module_module as Odoo makes it: let Odoo initialise "
                            "it, or set spec.profile.type of the placement to Generic"});
    return findings;
  }
  TRY_ASSIGN(pg::Rows rows, reader.Query("SELECT name || ' (' || state || ')' FROM ONLY "
                                         "public.ir_module_module WHERE state LIKE 'to %' "
                                         "ORDER BY name"));
  if (rows.empty()) return findings;
  std::vector<std::string> modules;
  for (pg::Row row : rows) modules.push_back(row.Text(0));
  findings.push_back(
      {Severity::kBlocking, "ModulesPending",
       "Odoo modules wait to be changed at the next start: " +
           Enumerate(modules, kModulesNamedMax) +
           "; let Odoo finish (start it with --update, or restart it), or cancel the "
           "change in Apps"});
  return findings;
}

Result<Json> OdooProfile::Baseline(std::stop_token stop, Deadline deadline,
                                   pg::Connection& source) const {
  TRY_ASSIGN(Reader reader, Reader::Begin(stop, deadline, source));
  TRY_ASSIGN(Json figures, ReadFigures(reader));
  TRY_ASSIGN(Json parameters, ReadParameters(reader));
  TRY_ASSIGN(Json attachments, ReadAttachments(reader, kSampleAttachments));
  return Json::Object(
      {{"figures", figures}, {"parameters", parameters}, {"attachments", attachments}});
}

std::vector<BuiltinCheck> OdooProfile::Checks(const Json& baseline) const {
  Json attachments = baseline["attachments"];
  auto served = [attachments](std::stop_token stop, Deadline deadline,
                              const CheckContext& context) {
    return AttachmentServed(stop, deadline, context, attachments);
  };
  std::vector<CheckWhen> always = {CheckWhen::kSmoke, CheckWhen::kHypercare};
  // The page first: it is what makes the workload connect to its database.
  return {{"profile/login-page",
           {CheckWhen::kPreflight, CheckWhen::kSmoke, CheckWhen::kHypercare},
           kPageSecondsMax,
           LoginPage},
          {"profile/asset-bundle", {CheckWhen::kSmoke}, kPageSecondsMax, AssetBundle},
          {"profile/attachment-served", {CheckWhen::kSmoke}, kPageSecondsMax, served},
          {"profile/source-idle", always, kFigureSecondsMax, SourceIsIdle},
          {"profile/target-in-use", always, kPageSecondsMax, TargetIsInUse},
          CompareWhileUsersAreOut("profile/figures", baseline["figures"], ReadFigures),
          Compare("profile/parameters", baseline["parameters"], ReadParameters),
          CompareAttachments(attachments)};
}

}  // namespace cutover::migration
