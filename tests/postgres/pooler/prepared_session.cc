// SPDX-License-Identifier: Apache-2.0
#include "tests/postgres/pooler/prepared_session.h"

#include <array>

namespace cutover::pg::testing {
namespace {

struct Clear {
  void operator()(PGresult* result) const { PQclear(result); }
};
using Answer = std::unique_ptr<PGresult, Clear>;

Status Refused(const char* words) { return RetryError("PoolerError", words); }

bool IsSuccess(const Answer& answer) {
  const ExecStatusType status = PQresultStatus(answer.get());
  return status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK;
}

}  // namespace

Result<PreparedSession> PreparedSession::Open(const PoolerLogin& login,
                                              const std::string& database) {
  const std::string port = std::to_string(login.port);
  const std::array<const char*, 6> keywords = {"host", "port",     "dbname",
                                               "user", "password", nullptr};
  const std::array<const char*, 6> values = {login.host.c_str(),     port.c_str(),
                                             database.c_str(),       login.user.c_str(),
                                             login.password.c_str(), nullptr};
  PreparedSession session;
  session.pg_.reset(PQconnectdbParams(keywords.data(), values.data(), /*expand_dbname=*/0));
  if (PQstatus(session.pg_.get()) != CONNECTION_OK)
    return RetryError("PoolerUnreachable", PQerrorMessage(session.pg_.get()));
  return session;
}

Status PreparedSession::Prepare(const std::string& name, const std::string& sql,
                                const std::vector<Oid>& types) {
  const Answer answer(PQprepare(pg_.get(), name.c_str(), sql.c_str(),
                                static_cast<int>(types.size()), types.data()));
  return IsSuccess(answer) ? Ok() : Refused(PQerrorMessage(pg_.get()));
}

Status PreparedSession::Execute(const std::vector<Call>& calls) {
  PGconn* pg = pg_.get();
  if (PQenterPipelineMode(pg) == 0) return Refused(PQerrorMessage(pg));
  for (const Call& call : calls) {
    std::vector<const char*> values;
    for (const std::string& value : call.values) values.push_back(value.c_str());
    if (PQsendQueryPrepared(pg, call.statement.c_str(), static_cast<int>(values.size()),
                            values.data(), nullptr, nullptr, 0) == 0)
      return Refused(PQerrorMessage(pg));
  }
  if (PQpipelineSync(pg) == 0) return Refused(PQerrorMessage(pg));
  Status executed = Ok();
  while (true) {
    const Answer answer(PQgetResult(pg));
    if (!answer && PQstatus(pg) != CONNECTION_OK) return Refused(PQerrorMessage(pg));
    if (!answer) continue;  // Between the answers of two statements.
    if (PQresultStatus(answer.get()) == PGRES_PIPELINE_SYNC) break;
    if (!IsSuccess(answer) && executed) executed = Refused(PQresultErrorMessage(answer.get()));
  }
  if (PQexitPipelineMode(pg) == 0) return Refused(PQerrorMessage(pg));
  return executed;
}

}  // namespace cutover::pg::testing
