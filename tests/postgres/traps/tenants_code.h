// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

namespace cutover::pg::testing {

/// What a tenant may plant in his own database so that it runs when somebody else looks at his
/// rows: casts of his own types, CHECKs of his domains, operators and functions in his schemas that
/// fit better than PostgreSQL's. Whatever of it is called, fails the statement that calls it. For a
/// search path that leads into schema public.
inline std::vector<std::string> TenantsCode() {
  std::vector<std::string> sql = {
      "CREATE TYPE mood AS ENUM ('sad', 'very happy')",
      "CREATE TYPE eager AS ENUM ('no', 'yes')",
      "CREATE TYPE pair AS (a int, b text)",
      "CREATE TYPE span AS RANGE (subtype = float8)",
      "CREATE FUNCTION harmless(numeric) RETURNS boolean IMMUTABLE LANGUAGE plpgsql"
      " AS 'BEGIN RETURN true; END'",
      "CREATE DOMAIN positive AS numeric CHECK (public.harmless(VALUE))",
  };
  auto trap = [&sql](const std::string& function, const std::string& result) {
    sql.push_back("CREATE FUNCTION " + function + " RETURNS " + result +
                  " IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION"
                  " 'tenant code was run as %', current_user; END $$");
  };
  for (const auto& [type, text_cast] : {std::pair("mood", ""), std::pair("eager", " AS IMPLICIT"),
                                        std::pair("pair", " AS IMPLICIT"), std::pair("span", ""),
                                        std::pair("mood[]", ""), std::pair("positive[]", "")}) {
    const std::string name = type;
    trap("written(" + name + ")", "text");
    trap("as_json(" + name + ")", "json");
    const std::string reader = "read_" + std::to_string(sql.size());
    trap(reader + "(text)", name);
    sql.push_back("CREATE CAST (" + name + " AS text) WITH FUNCTION written(" + name + ")" +
                  text_cast);
    sql.push_back("CREATE CAST (" + name + " AS json) WITH FUNCTION as_json(" + name + ")");
    sql.push_back("CREATE CAST (text AS " + name + ") WITH FUNCTION " + reader + "(text)");
    trap("equal(" + name + ", " + name + ")", "boolean");
    for (const char* comparison : {"=", "<>", "<", ">", "<=", ">="})
      sql.push_back("CREATE OPERATOR public." + std::string(comparison) + " (FUNCTION = equal, " +
                    "LEFTARG = " + name + ", RIGHTARG = " + name + ")");
  }
  trap("concat(bigint, text, numeric)", "text");
  trap("convert_to(text, text)", "bytea");
  trap("hashtextextended(text, int)", "bigint");
  trap("times(numeric, int)", "numeric");
  sql.emplace_back(
      "CREATE OPERATOR public.* (FUNCTION = times, LEFTARG = numeric, RIGHTARG = int)");
  trap("beside(text, numeric)", "text");
  sql.emplace_back(
      "CREATE OPERATOR public.|| (FUNCTION = beside, LEFTARG = text, RIGHTARG = numeric)");
  return sql;
}

/// A table for each kind of key by which the above may be reached, the keys being `k` and
/// `key_type.key`; and one without a key, whose index sends whoever plans a query over it into the
/// tenant's search path.
struct TenantsTable {
  const char* name;
  const char* key_type;
  const char* keys[3];
};
inline constexpr TenantsTable kTenantsTables[] = {
    {"by_mood", "mood", {"sad", "very happy", ""}},
    {"by_eager", "eager", {"no", "yes", ""}},
    {"by_pair", "pair", {"(1,\"x \"\"y\"\", z\")", "(2,)", "(,\"\")"}},
    {"by_domain", "positive", {"1.0", "2.00", "3"}},
    {"by_span", "span", {"[1,2.5)", "empty", "(,-0]"}},
    {"by_moods", "mood[]", {"{sad,\"very happy\"}", "{}", "{{sad},{sad}}"}},
    {"by_domains", "positive[]", {"{1.0,1.00}", "{2,NULL}", "{3}"}},
};

inline std::vector<std::string> TenantsTables() {
  std::vector<std::string> sql = {
      "CREATE TABLE keyless (a int, b text)",
      "CREATE FUNCTION public.helper(int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT $1 + 1'",
      "CREATE FUNCTION public.needs_path(int) RETURNS int IMMUTABLE LANGUAGE plpgsql"
      " AS 'BEGIN RETURN 2; END'",
      "CREATE INDEX ON keyless (a) WHERE needs_path(1) = 2",
      "ALTER TABLE keyless REPLICA IDENTITY FULL",
      "CREATE TABLE numbers (id int PRIMARY KEY, n numeric, f float8)",
  };
  for (const TenantsTable& table : kTenantsTables)
    sql.push_back("CREATE TABLE " + std::string(table.name) + " (k " + table.key_type +
                  " PRIMARY KEY, body text)");
  return sql;
}

inline std::vector<std::string> TenantsRows() {
  std::vector<std::string> sql = {
      "INSERT INTO keyless SELECT i % 3, 'same' FROM"
      " generate_series(1, 30) i",
      "INSERT INTO numbers VALUES (1, 1.0, 0), (2, 1.0, 0)"};
  for (const TenantsTable& table : kTenantsTables)
    for (const std::string key : table.keys)
      if (!key.empty())
        sql.push_back("INSERT INTO " + std::string(table.name) + " VALUES ('" + key + "', 'same')");
  return sql;
}

/// Behind this, also the domain's CHECK fails, which let the rows in, and the index's predicate
/// needs the path, without which no major would have built it.
inline std::vector<std::string> TenantsLastTouch() {
  return {
      "CREATE OR REPLACE FUNCTION public.harmless(numeric) RETURNS boolean IMMUTABLE LANGUAGE "
      "plpgsql AS $$ BEGIN RAISE EXCEPTION 'tenant code was run as %', current_user; END $$",
      "CREATE OR REPLACE FUNCTION public.needs_path(int) RETURNS int IMMUTABLE LANGUAGE plpgsql"
      " AS 'BEGIN RETURN helper($1); END'"};
}

/// Other bytes in one row of each table, of values that their types may call equal.
inline std::vector<std::string> TenantsDamages() {
  std::vector<std::string> sql = {"UPDATE public.numbers SET n = 1.00 WHERE id = 1",
                                  "UPDATE public.numbers SET f = '-0' WHERE id = 2"};
  for (const TenantsTable& table : kTenantsTables)
    sql.push_back("UPDATE public." + std::string(table.name) +
                  " SET body = 'other' WHERE pg_catalog.concat(k) = '" + table.keys[0] + "'");
  return sql;
}

/// And in the one without a key.
inline constexpr const char* kDamageWithoutKey =
    "SET search_path = public; UPDATE keyless SET b = 'other' WHERE ctid = '(0,7)';"
    " RESET search_path";

/// How those rows are called: "public.by_mood (k)=(sad)".
inline std::vector<std::string> TenantsDamagedRows() {
  std::vector<std::string> rows = {"public.numbers (id)=(1)", "public.numbers (id)=(2)"};
  for (const TenantsTable& table : kTenantsTables)
    rows.push_back("public." + std::string(table.name) + " (k)=(" + table.keys[0] + ")");
  return rows;
}

}  // namespace cutover::pg::testing
