// SPDX-License-Identifier: Apache-2.0
#include "tests/postgres/servers.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <map>
#include <utility>

#include "operator/base/random.h"

namespace cutover::pg::testing {
namespace {

constexpr std::string_view kMajor = "major";

[[noreturn]] void Die(const std::string& sentence) {
  std::fprintf(stderr, "%s\n", sentence.c_str());
  std::abort();
}

template <class T>
T MustHave(Result<T> result, std::string_view doing) {
  if (!result) Die(std::string(doing) + ": " + result.error().message);
  return std::move(*result);
}

TestServers Load() {
  const char* directory = std::getenv("CUTOVER_TEST_PG_DIR");
  if (directory == nullptr)
    Die("CUTOVER_TEST_PG_DIR is not set: run these tests by ctest, or start the servers yourself "
        "with tests/postgres/servers up DIRECTORY");
  std::ifstream file(std::string(directory) + "/env");
  std::map<std::string, std::string> values;
  for (std::string line; std::getline(file, line);) {
    size_t equals = line.find('=');
    if (equals != std::string::npos) values[line.substr(0, equals)] = line.substr(equals + 1);
  }
  if (!values.contains("target")) Die(std::string(directory) + "/env names no servers");
  TestServers servers;
  servers.source = MustHave(ConnectOptions::Parse(values["source"]), "source");
  servers.target = MustHave(ConnectOptions::Parse(values["target"]), "target");
  servers.bin_directory = values["bindir"];
  servers.newer_pooler = values["pooler"];
  servers.ca_file = values["ca"];
  servers.directory = directory;
  for (const auto& [key, value] : values) {
    if (key.starts_with(kMajor))
      servers.by_major[std::stoi(key.substr(kMajor.size()))] =
          MustHave(ConnectOptions::Parse(value), key);
  }
  return servers;
}

}  // namespace

const TestServers& Servers() {
  static const TestServers servers = Load();
  return servers;
}

const ConnectOptions& TestServers::OfMajor(int major) const {
  auto found = by_major.find(major);
  if (found == by_major.end())
    Die("there is no server of major " + std::to_string(major) + "; see what hack/pg-tools says");
  return found->second;
}

std::string UniqueName(std::string_view prefix) {
  static int counter = 0;
  return std::string(prefix) + "_" + std::to_string(getpid()) + "_" + std::to_string(++counter) +
         "_" + RandomHex(3);
}

Connection MustConnect(const ConnectOptions& options) {
  return MustHave(Connection::Open({}, Soon(), options), "connect");
}

void MustExec(Connection& connection, const std::vector<std::string>& statements) {
  for (const std::string& sql : statements) {
    Status done = connection.Exec({}, Soon(), sql);
    if (!done) Die(sql + ": " + done.error().message);
  }
}

std::vector<std::string> MustRead(Connection& connection, const std::string& sql,
                                  const Params& params) {
  Rows rows = MustHave(connection.Query({}, Soon(), sql, params), sql);
  std::vector<std::string> values;
  for (Row row : rows) values.push_back(row.Text(0));
  return values;
}

TestRole::TestRole(const ConnectOptions& server, std::string_view attributes,
                   std::string_view prefix)
    : server_(server), name_(UniqueName(prefix)), password_(RandomHex(8)) {
  Connection connection = MustConnect(server_);
  MustExec(connection, {"CREATE ROLE " + quoted() + " LOGIN PASSWORD " + QuoteLiteral(password_) +
                        " " + std::string(attributes)});
}

TestRole::~TestRole() {
  Connection connection = MustConnect(server_);
  // What it has been granted on databases that outlive the case goes with DROP OWNED.
  Status disowned = connection.Exec({}, Soon(), "DROP OWNED BY " + quoted() + " CASCADE");
  Status dropped = connection.Exec({}, Soon(), "DROP ROLE " + quoted());
  EXPECT_TRUE(dropped) << dropped.error().message;
}

ConnectOptions TestRole::Options(std::string_view database) const {
  ConnectOptions options = server_.WithDatabase(database);
  options.user = name_;
  options.password = password_;
  options.application_name = "tenant";
  return options;
}

TestDatabase::TestDatabase(const ConnectOptions& server, std::string_view owner,
                           std::string_view prefix)
    : server_(server), name_(UniqueName(prefix)) {
  Connection connection = MustConnect(server_);
  MustExec(connection,
           {"CREATE DATABASE " + quoted() + " TEMPLATE template0 OWNER " + QuoteIdentifier(owner)});
}

TestDatabase::~TestDatabase() { DropAtEnd drop(server_, name_); }

DropAtEnd::~DropAtEnd() {
  Connection connection = MustConnect(server_);
  MustExec(connection, {"DROP DATABASE IF EXISTS " + QuoteIdentifier(database_) + " WITH (FORCE)"});
}

}  // namespace cutover::pg::testing
