// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <map>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

#include "operator/base/check.h"
#include "tests/postgres/mover/tenant.h"

namespace cutover::mover::testing {
namespace {

using pg::testing::MustConnect;
using pg::testing::MustExec;
using pg::testing::MustRead;
using pg::testing::Servers;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

struct Majors {
  int source;
  int target;
};

std::string Words(const Majors& majors) {
  return "From" + std::to_string(majors.source) + "To" + std::to_string(majors.target);
}
void PrintTo(const Majors& majors, std::ostream* out) { *out << Words(majors); }

void ReplaceAll(std::string& text, std::string_view from, std::string_view to) {
  for (size_t at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size()))
    text.replace(at, from.size(), to);
}

/// majors.sql for a server of `major`.
std::string OrdinarySql(int major, const std::string& tenant, const std::string& reader) {
  std::ifstream file("tests/postgres/mover/majors.sql");
  std::string sql((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  CHECK(!sql.empty());
  ReplaceAll(sql, ":tenant", pg::QuoteIdentifier(tenant));
  ReplaceAll(sql, ":reader", pg::QuoteIdentifier(reader));
  for (int since = 14; since <= major; ++since)
    ReplaceAll(sql, "--since" + std::to_string(since) + " ", "");
  return sql;
}

/// A tenant on a server of one major, whose database is to be copied to a server of another one.
/// Dropped at the end, and so are the copy and the roles that came along.
class OrdinaryTenant {
 public:
  explicit OrdinaryTenant(const Majors& majors)
      : server_(Servers().OfMajor(majors.source)),
        target_(Servers().OfMajor(majors.target)),
        same_server_(majors.source == majors.target),
        tenant_(server_, "CREATEDB CONNECTION LIMIT 30", "tenant"),
        reader_(server_, "NOINHERIT VALID UNTIL '2040-01-01 00:00:00+00'", "reader"),
        database_(server_, tenant_.name(), "ordinary"),
        copy_(pg::testing::UniqueName("copy")) {
    Fill(majors.source);
  }
  ~OrdinaryTenant() {
    // Roles cannot go before what they own.
    { pg::testing::DropAtEnd drop(target_, copy_); }
    if (same_server_) return;
    pg::Connection admin = MustConnect(target_);
    for (const pg::testing::TestRole* role : {&tenant_, &reader_})
      MustExec(admin, {"DROP ROLE IF EXISTS " + role->quoted()});
  }
  OrdinaryTenant(const OrdinaryTenant&) = delete;
  OrdinaryTenant& operator=(const OrdinaryTenant&) = delete;

  pg::ConnectOptions Source() const { return database_.Options(); }
  pg::ConnectOptions Copy() const { return target_.WithDatabase(copy_); }
  pg::ConnectOptions TargetServer() const { return target_; }
  const std::string& copy_name() const { return copy_; }
  const std::string& tenant() const { return tenant_.name(); }
  const std::string& reader() const { return reader_.name(); }

  CloneOptions CloneAll() const { return CloneTo(Source(), target_, copy_); }

 private:
  void Fill(int major) {
    pg::Connection admin = MustConnect(Source());
    Status made = admin.Exec({}, Deadline::After(std::chrono::seconds(60)),
                             OrdinarySql(major, tenant_.name(), reader_.name()));
    if (!made) ADD_FAILURE() << made.error().message;
    const std::string member = "GRANT " + reader_.quoted() + " TO " + tenant_.quoted();
    MustExec(admin, {"REFRESH MATERIALIZED VIEW shop.summary",
                     "ALTER DATABASE " + database_.quoted() + " SET search_path TO shop, public",
                     "ALTER ROLE " + tenant_.quoted() + " SET work_mem TO '7MB'",
                     "COMMENT ON DATABASE " + database_.quoted() + " IS 'an ordinary one'",
                     major >= 16 ? member + " WITH ADMIN TRUE, INHERIT FALSE, SET FALSE"
                                 : member + " WITH ADMIN OPTION"});
  }

  pg::ConnectOptions server_;
  pg::ConnectOptions target_;
  bool same_server_;
  pg::testing::TestRole tenant_;
  pg::testing::TestRole reader_;
  pg::testing::TestDatabase database_;
  std::string copy_;
};

// What follows shares nothing with the mover's own verification: plain SQL on both sides, in words
// that do not depend on the server's major.

/// Rows of every table and view, as one line each.
std::map<std::string, std::string> ReadContents(pg::Connection& connection) {
  MustExec(connection, {"SET search_path TO ''", "SET timezone TO 'UTC'", "SET datestyle TO ISO",
                        "SET extra_float_digits TO 1", "SET row_security TO off"});
  std::map<std::string, std::string> contents;
  for (const std::string& relation :
       MustRead(connection,
                "SELECT c.oid::regclass::text FROM pg_class c WHERE c.relkind IN ('r', 'v', 'm')"
                " AND c.relnamespace = 'shop'::regnamespace AND c.relname <> 'unfilled'")) {
    const std::vector<std::string> columns =
        MustRead(connection,
                 "SELECT quote_ident(attname) FROM pg_attribute WHERE attrelid = $1::regclass"
                 " AND attnum > 0 AND NOT attisdropped ORDER BY attname",
                 {pg::Param(relation)});
    std::string row;
    for (const std::string& column : columns) row += (row.empty() ? "" : ", ") + column;
    std::string sql =
        "SELECT count(*) || ' ' || md5(coalesce(string_agg(line, E'\\n'"
        " ORDER BY line COLLATE \"C\"), '')) FROM (SELECT ROW(";
    sql.append(row).append(")::text AS line FROM ONLY ").append(relation).append(") AS lines");
    contents[relation] = MustRead(connection, sql).at(0);
  }
  return contents;
}

// concat_ws() takes any type and passes over NULL.
constexpr const char* kColumns =
    "SELECT concat_ws(' ', c.oid::regclass, a.attname, format_type(a.atttypid, a.atttypmod),"
    " a.attnotnull, a.attidentity, a.attgenerated, a.attstorage, a.attislocal, a.attinhcount,"
    " nullif(a.attstattarget, -1), a.attcollation::regcollation,"
    " pg_get_expr(d.adbin, d.adrelid))"
    " FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0"
    " LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum"
    " WHERE c.relkind IN ('r', 'p') AND NOT a.attisdropped AND c.relnamespace ="
    " 'shop'::regnamespace";

// Before 18 NOT NULL is no constraint in the catalog; kColumns shows it on either side.
constexpr const char* kConstraints =
    "SELECT concat_ws(' ', conrelid::regclass, conname, convalidated, condeferred,"
    " pg_get_constraintdef(oid)) FROM pg_constraint"
    " WHERE connamespace = 'shop'::regnamespace AND contype <> 'n' AND conparentid = 0";
constexpr const char* kNotNullConstraints =
    "SELECT concat_ws(' ', conrelid::regclass, conname, convalidated, connoinherit)"
    " FROM pg_constraint WHERE connamespace = 'shop'::regnamespace AND contype = 'n'";

constexpr const char* kIndexes =
    "SELECT concat_ws(' ', pg_get_indexdef(i.indexrelid), i.indisclustered, i.indisreplident,"
    " i.indisvalid) FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid"
    " WHERE c.relnamespace = 'shop'::regnamespace";

constexpr const char* kTriggersPoliciesAndRules =
    "SELECT concat_ws(' ', tgrelid::regclass, tgname, tgenabled, tgtype)"
    " FROM pg_trigger WHERE NOT tgisinternal AND tgparentid = 0"
    " UNION ALL SELECT concat_ws(' ', polrelid::regclass, polname, polcmd, polpermissive,"
    "  polroles::regrole[], pg_get_expr(polqual, polrelid), pg_get_expr(polwithcheck, polrelid))"
    "  FROM pg_policy"
    " UNION ALL SELECT concat_ws(' ', oid::regclass, relrowsecurity, relforcerowsecurity,"
    "  relpersistence) FROM pg_class WHERE relnamespace = 'shop'::regnamespace"
    "  AND relkind IN ('r', 'p', 'S')"
    " UNION ALL SELECT pg_get_ruledef(oid) FROM pg_rewrite WHERE rulename = 'keep'";

// Without the owners' own, and without MAINTAIN: 17 adds it to what an owner has, and to ALL.
constexpr const char* kGrants =
    "SELECT concat_ws(' ', what, coalesce(nullif(a.grantee, 0)::regrole::text, 'PUBLIC'),"
    " a.privilege_type, a.is_grantable) FROM ("
    " SELECT oid::regclass::text AS what, relowner AS owner, relacl AS acl FROM pg_class"
    "  WHERE relnamespace = 'shop'::regnamespace"
    " UNION ALL SELECT concat_ws('.', attrelid::regclass, attname), 0, attacl FROM pg_attribute"
    " UNION ALL SELECT oid::regprocedure::text, proowner, proacl FROM pg_proc"
    "  WHERE pronamespace = 'shop'::regnamespace"
    " UNION ALL SELECT oid::regtype::text, typowner, typacl FROM pg_type"
    "  WHERE typnamespace = 'shop'::regnamespace"
    " UNION ALL SELECT nspname, nspowner, nspacl FROM pg_namespace WHERE nspname = 'shop'"
    " UNION ALL SELECT concat_ws(' ', 'default', defaclobjtype), defaclrole, defaclacl"
    "  FROM pg_default_acl"
    " UNION ALL SELECT concat_ws(' ', 'object', oid), lomowner, lomacl"
    "  FROM pg_largeobject_metadata) AS o,"
    " aclexplode(o.acl) AS a WHERE a.grantee <> o.owner AND a.privilege_type <> 'MAINTAIN'";

constexpr const char* kMaintainers =
    "SELECT concat_ws(' ', c.oid::regclass, a.grantee::regrole) FROM pg_class c,"
    " aclexplode(c.relacl) AS a WHERE c.relnamespace = 'shop'::regnamespace"
    " AND a.privilege_type = 'MAINTAIN' AND a.grantee <> c.relowner";

constexpr const char* kOtherObjects =
    "SELECT concat_ws(' ', 'sequence', sequencename, last_value, start_value, increment_by,"
    "  max_value, cycle, data_type) FROM pg_sequences WHERE schemaname = 'shop'"
    " UNION ALL SELECT concat_ws(' ', 'comment', classoid::regclass, description)"
    "  FROM pg_description WHERE description IN"
    "  ('what is sold', 'who buys', 'a customer''s boss', 'for the search box', 'has a name')"
    " UNION ALL SELECT concat_ws(' ', 'object', oid, lomowner::regrole,"
    "  obj_description(oid, 'pg_largeobject')) FROM pg_largeobject_metadata"
    " UNION ALL SELECT concat_ws(' ', 'bytes', loid, pageno, md5(data)) FROM pg_largeobject"
    " UNION ALL SELECT concat_ws(' ', 'statistics', stxname, stxkind) FROM pg_statistic_ext"
    " UNION ALL SELECT concat_ws(' ', 'function', oid::regprocedure, prokind, provolatile,"
    "  md5(prosrc), proconfig) FROM pg_proc WHERE pronamespace = 'shop'::regnamespace"
    " UNION ALL SELECT concat_ws(' ', 'publication', pubname, pubinsert, pubupdate, pubdelete)"
    "  FROM pg_publication"
    " UNION ALL SELECT concat_ws(' ', 'published', pubname, tablename) FROM pg_publication_tables"
    " UNION ALL SELECT concat_ws(' ', 'extension', extname) FROM pg_extension"
    " UNION ALL SELECT concat_ws(' ', 'filled', relname, relispopulated) FROM pg_class"
    "  WHERE relkind = 'm'"
    " UNION ALL SELECT concat_ws(' ', 'owner', oid::regclass, relowner::regrole) FROM pg_class"
    "  WHERE relnamespace = 'shop'::regnamespace AND relkind NOT IN ('i', 'I')";

std::vector<std::string> Sorted(std::vector<std::string> lines) {
  std::sort(lines.begin(), lines.end());
  return lines;
}

/// Both sorted.
std::vector<std::string> Without(const std::vector<std::string>& lines,
                                 const std::vector<std::string>& others) {
  std::vector<std::string> left;
  std::set_difference(lines.begin(), lines.end(), others.begin(), others.end(),
                      std::back_inserter(left));
  return left;
}

/// Everything above, line by line, from both sides.
void ExpectSameByPlainSql(const OrdinaryTenant& tenant, const Majors& majors) {
  pg::Connection source = MustConnect(tenant.Source());
  pg::Connection copy = MustConnect(tenant.Copy());
  const auto contents = ReadContents(source);
  EXPECT_GT(contents.size(), 15u);
  EXPECT_EQ(ReadContents(copy), contents);
  std::vector<const char*> questions = {kColumns, kConstraints, kIndexes, kTriggersPoliciesAndRules,
                                        kGrants,  kOtherObjects};
  if (majors.source >= 17) questions.push_back(kMaintainers);
  if (majors.source >= 18) questions.push_back(kNotNullConstraints);
  for (const char* sql : questions) {
    const std::vector<std::string> expected = Sorted(MustRead(source, sql));
    const std::vector<std::string> found = Sorted(MustRead(copy, sql));
    EXPECT_FALSE(expected.empty()) << sql;
    EXPECT_THAT(Without(expected, found), IsEmpty()) << "these are on the source only";
    EXPECT_THAT(Without(found, expected), IsEmpty()) << "these are on the target only";
  }
}

/// "ADMIN INHERIT SET" of the tenant's membership in the reader's role.
std::string MembershipOptions(pg::Connection& connection, const OrdinaryTenant& tenant) {
  const bool has_options = connection.major_version() >= 16;
  auto rows = MustRead(
      connection,
      std::string("SELECT a.admin_option || ' ' || ") +
          (has_options ? "a.inherit_option || ' ' || a.set_option" : "m.rolinherit || ' true'") +
          " FROM pg_auth_members a JOIN pg_roles m ON m.oid = a.member"
          " WHERE m.rolname = $1 AND a.roleid = $2::text::regrole",
      {pg::Param(tenant.tenant()), pg::Param(tenant.reader())});
  return rows.empty() ? "no member" : rows[0];
}

/// Attributes, password and settings of both roles, and the options of the membership.
void ExpectSameRoles(const OrdinaryTenant& tenant, const Majors& majors) {
  pg::Connection source = MustConnect(tenant.Source());
  pg::Connection copy = MustConnect(tenant.Copy());
  const std::string expected = majors.source >= 16 ? "true false false" : "true true true";
  EXPECT_EQ(MembershipOptions(source, tenant), expected);
  EXPECT_EQ(MembershipOptions(copy, tenant), expected);
  const std::string attributes =
      "SELECT concat_ws(' ', rolname, rolinherit, rolcreatedb, rolcanlogin, rolconnlimit,"
      " rolvaliduntil, rolpassword, (SELECT setconfig FROM pg_db_role_setting"
      " WHERE setrole = r.oid AND setdatabase = 0)) FROM pg_authid r"
      " WHERE rolname IN ($1, $2) ORDER BY 1";
  const pg::Params names = {pg::Param(tenant.tenant()), pg::Param(tenant.reader())};
  EXPECT_EQ(MustRead(copy, attributes, names), MustRead(source, attributes, names));
}

class MajorPair : public ::testing::TestWithParam<Majors> {};

// Each major as a source and, but for 13, as a target of an older one.
INSTANTIATE_TEST_SUITE_P(Mover, MajorPair,
                         ::testing::Values(Majors{13, 13}, Majors{13, 14}, Majors{13, 18},
                                           Majors{14, 16}, Majors{14, 17}, Majors{15, 16},
                                           Majors{15, 18}, Majors{16, 17}, Majors{16, 18},
                                           Majors{17, 18}, Majors{18, 18}),
                         [](const auto& pair) { return Words(pair.param); });

TEST_P(MajorPair, AnOrdinaryDatabaseArrivesWithItsRolesAndIsProvenEqual) {
  OrdinaryTenant tenant(GetParam());
  Report report = MustClone(tenant.CloneAll());
  EXPECT_TRUE(report.equal()) << Describe(report);
  ExpectSameByPlainSql(tenant, GetParam());
  ExpectSameRoles(tenant, GetParam());
  VerifyOptions options;
  options.source = tenant.Source();
  options.target = tenant.Copy();
  Report again = MustVerify(options);
  EXPECT_TRUE(again.equal()) << Describe(again);
  EXPECT_EQ(again.rows, report.rows);
}

class OlderTarget : public ::testing::TestWithParam<Majors> {};

INSTANTIATE_TEST_SUITE_P(Mover, OlderTarget,
                         ::testing::Values(Majors{14, 13}, Majors{17, 15}, Majors{18, 17}),
                         [](const auto& pair) { return Words(pair.param); });

TEST_P(OlderTarget, IsRefusedBeforeAnythingIsWritten) {
  OrdinaryTenant tenant(GetParam());
  pg::Connection admin = MustConnect(tenant.TargetServer());
  for (const bool create : {true, false}) {
    CloneOptions options = tenant.CloneAll();
    if (!create) {
      MustExec(admin, {"CREATE DATABASE " + pg::QuoteIdentifier(tenant.copy_name())});
      options.admin.reset();
    }
    Reporter silent(Reporter::Output::kSilent);
    auto report = CloneDatabase({}, Programs(), options, silent);
    ASSERT_FALSE(report);
    EXPECT_EQ(report.error().reason, "TargetTooOld") << report.error().message;
    EXPECT_EQ(report.error().disposition, Disposition::kTerminal);
    if (!create) continue;
    EXPECT_THAT(MustRead(admin, "SELECT datname FROM pg_database WHERE datname IN ($1, $2)",
                         {pg::Param(tenant.copy_name()),
                          pg::Param("cutover_new_" + options.migration_uid)}),
                IsEmpty());
  }
  pg::Connection copy = MustConnect(tenant.Copy());
  EXPECT_THAT(MustRead(copy, "SELECT oid FROM pg_class WHERE oid >= 16384"), IsEmpty());
  EXPECT_THAT(MustRead(admin, "SELECT rolname FROM pg_roles WHERE rolname = $1",
                       {pg::Param(tenant.tenant())}),
              IsEmpty());
}

TEST(DroppedSetting, OfARoleIsRefusedByNameWithTheStatementThatHelps) {
  OrdinaryTenant tenant({13, 14});
  pg::Connection admin = MustConnect(tenant.Source());
  const std::string role = "ALTER ROLE " + pg::QuoteIdentifier(tenant.tenant());
  // 14 dropped it.
  MustExec(admin, {role + " SET operator_precedence_warning TO on"});
  const std::string remedy = role + " RESET operator_precedence_warning";
  {
    Reporter silent(Reporter::Output::kSilent);  // It holds the lock on the target to its end.
    auto report = CloneDatabase({}, Programs(), tenant.CloneAll(), silent);
    ASSERT_FALSE(report);
    EXPECT_EQ(report.error().disposition, Disposition::kTerminal);
    ASSERT_THAT(report.error().message, HasSubstr(remedy));
  }
  MustExec(admin, {remedy});
  EXPECT_TRUE(MustClone(tenant.CloneAll()).equal());
}

/// A database of a provider other than libc; dropped at the end with its copy.
class LocaleOfADatabase : public ::testing::Test {
 protected:
  /// Clones a database that was created with `clauses`, and returns the copy's locale in words.
  std::string LocaleOfCopy(const Majors& majors, const std::string& clauses) {
    const pg::ConnectOptions& server = Servers().OfMajor(majors.source);
    const pg::ConnectOptions& target = Servers().OfMajor(majors.target);
    const std::string name = pg::testing::UniqueName("locale");
    const std::string copy = pg::testing::UniqueName("copy");
    pg::testing::DropAtEnd drop_source(server, name), drop_copy(target, copy);
    pg::Connection admin = MustConnect(server);
    MustExec(admin,
             {"CREATE DATABASE " + pg::QuoteIdentifier(name) + " TEMPLATE template0 " + clauses});
    pg::Connection source = MustConnect(server.WithDatabase(name));
    MustExec(source,
             {"CREATE TABLE public.words (word text PRIMARY KEY)",
              "INSERT INTO public.words VALUES ('a'), ('B'), ('ä'), ('Z'), ('_'), ('c-d')"});
    const CloneOptions options = CloneTo(server.WithDatabase(name), target, copy);
    Report report = MustClone(options);
    EXPECT_TRUE(report.equal()) << Describe(report);
    pg::Connection there = MustConnect(options.target);
    const std::string in_order = "SELECT word FROM public.words ORDER BY word";
    EXPECT_EQ(MustRead(there, in_order), MustRead(source, in_order));
    const std::string locale = there.major_version() >= 17 ? "datlocale" : "daticulocale";
    return MustRead(
               there,
               "SELECT concat_ws('|', datlocprovider, " + locale +
                   ", daticurules, datcollate) FROM pg_database WHERE datname = current_database()")
        .at(0);
  }
};

TEST_F(LocaleOfADatabase, OfIcuArrivesUnderItsNewColumnNames) {
  EXPECT_EQ(LocaleOfCopy({15, 18}, "LOCALE_PROVIDER icu ICU_LOCALE 'de-AT'"), "i|de-AT|C.UTF-8");
  EXPECT_EQ(LocaleOfCopy({16, 17}, "LOCALE_PROVIDER icu ICU_LOCALE 'und' ICU_RULES '& b < a'"),
            "i|und|& b < a|C.UTF-8");
}

TEST_F(LocaleOfADatabase, OfTheBuiltinProviderArrives) {
  EXPECT_EQ(LocaleOfCopy({17, 18}, "LOCALE_PROVIDER builtin BUILTIN_LOCALE 'C.UTF-8' LOCALE 'C'"),
            "b|C.UTF-8|C");
}

}  // namespace
}  // namespace cutover::mover::testing
