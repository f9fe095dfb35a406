// SPDX-License-Identifier: Apache-2.0
#include "mover/process/pg_programs.h"

#include <cctype>
#include <cstdlib>

namespace cutover::mover {

PgPrograms PgPrograms::In(std::string_view directory) {
  if (!directory.empty()) return PgPrograms(std::string(directory));
  const char* variable = std::getenv("CUTOVER_PG_BINDIR");
  return PgPrograms(variable == nullptr ? "" : variable);
}

ChildCommand PgPrograms::Command(std::string_view program,
                                 std::vector<std::string> arguments) const {
  ChildCommand command;
  command.program =
      directory_.empty() ? std::string(program) : directory_ + "/" + std::string(program);
  command.arguments = std::move(arguments);
  // Messages end up in ours and in status; they must not depend on the machine's language.
  command.environment = {{"LC_ALL", "C.UTF-8"}, {"LANGUAGE", "C"}};
  return command;
}

ChildCommand PgPrograms::Command(std::string_view program, std::vector<std::string> arguments,
                                 const pg::ConnectOptions& connect) const {
  ChildCommand command = Command(program, std::move(arguments));
  for (auto& entry : pg::EnvironmentFor(connect)) command.environment.push_back(std::move(entry));
  return command;
}

Result<std::string> PgPrograms::DumpVersion(std::stop_token stop, Deadline deadline) const {
  TRY_ASSIGN(std::string text, ReadChild(stop, deadline, Command("pg_dump", {"--version"})));
  return text.substr(0, text.find('\n'));
}

Result<int> PgPrograms::DumpMajor(std::stop_token stop, Deadline deadline) const {
  TRY_ASSIGN(const std::string text, DumpVersion(stop, deadline));
  // "pg_dump (PostgreSQL) 17.11 (Debian 17.11-0+deb13u1)"
  size_t at = text.find(") ");
  int major = 0;
  for (at = at == std::string::npos ? text.size() : at + 2;
       at < text.size() && std::isdigit(static_cast<unsigned char>(text[at])); ++at)
    major = major * 10 + (text[at] - '0');
  if (major == 0)
    return TerminalError("ProgramUnknown",
                         "pg_dump --version says no version; name the directory of PostgreSQL's "
                         "client programs with --pg-bindir or CUTOVER_PG_BINDIR");
  return major;
}

Status PgPrograms::RequireDumpFor(std::stop_token stop, Deadline deadline, int server_major) const {
  TRY_ASSIGN(int major, DumpMajor(stop, deadline));
  if (major >= server_major) return Ok();
  return TerminalError("ProgramTooOld",
                       "pg_dump is of major " + std::to_string(major) + ", the server of major " +
                           std::to_string(server_major) +
                           "; name the directory of newer client programs with --pg-bindir or "
                           "CUTOVER_PG_BINDIR");
}

}  // namespace cutover::mover
