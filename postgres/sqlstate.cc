// SPDX-License-Identifier: Apache-2.0
#include "postgres/sqlstate.h"

#include <array>

namespace cutover::pg {
namespace {

constexpr auto kRetry = Disposition::kRetry;
constexpr auto kTerminal = Disposition::kTerminal;
constexpr auto kInDoubt = Disposition::kInDoubt;

// The one table. A retry must be able to succeed without anybody changing anything; whatever needs
// a person is terminal. The fallback stands first, so that a lookup always has an answer.
constexpr std::array kRules = {
    SqlstateRule{"", kTerminal, "ServerError"},
    // The connection, or the server behind it, went away. Whether a COMMIT was under way is known
    // to Transaction::Commit alone, which turns these into kInDoubt.
    SqlstateRule{"08", kRetry, "ConnectionLost"},
    SqlstateRule{"08007", kInDoubt, "TransactionInDoubt"},
    SqlstateRule{"08P01", kTerminal, "ProtocolViolation"},
    SqlstateRule{"57P01", kRetry, "ConnectionLost"},
    SqlstateRule{"57P02", kRetry, "ConnectionLost"},
    SqlstateRule{"57P03", kRetry, "ServerStarting"},
    SqlstateRule{"57P04", kTerminal, "DatabaseDropped"},
    SqlstateRule{"57P05", kRetry, "ConnectionLost"},
    // Other sessions are in the way, for now.
    SqlstateRule{"40", kRetry, "SerializationFailure"},
    SqlstateRule{"40003", kInDoubt, "TransactionInDoubt"},
    SqlstateRule{"40P01", kRetry, "DeadlockDetected"},
    SqlstateRule{"55006", kRetry, "ObjectInUse"},
    SqlstateRule{"55P03", kRetry, "LockNotAvailable"},
    SqlstateRule{"57014", kRetry, "Cancelled"},
    SqlstateRule{"25P03", kRetry, "IdleInTransactionTimeout"},
    SqlstateRule{"25P04", kRetry, "TransactionTimeout"},
    // Resources that come back, and those that somebody has to add.
    SqlstateRule{"53", kRetry, "InsufficientResources"},
    SqlstateRule{"53100", kTerminal, "DiskFull"},
    SqlstateRule{"53200", kRetry, "OutOfMemory"},
    SqlstateRule{"53300", kRetry, "TooManyConnections"},
    SqlstateRule{"54", kTerminal, "ProgramLimitExceeded"},
    SqlstateRule{"55000", kTerminal, "ObjectNotInPrerequisiteState"},
    SqlstateRule{"58030", kRetry, "InputOutputError"},
    SqlstateRule{"58P01", kTerminal, "UndefinedFile"},
    SqlstateRule{"XX001", kTerminal, "DataCorrupted"},
    SqlstateRule{"XX002", kTerminal, "IndexCorrupted"},
    // Who may do what.
    SqlstateRule{"28", kTerminal, "AuthenticationFailed"},
    SqlstateRule{"28P01", kTerminal, "AuthenticationFailed"},
    SqlstateRule{"42501", kTerminal, "InsufficientPrivilege"},
    SqlstateRule{"25006", kTerminal, "ReadOnly"},
    // What is there and what is not.
    SqlstateRule{"3D000", kTerminal, "DatabaseNotFound"},
    SqlstateRule{"42P04", kTerminal, "DatabaseExists"},
    SqlstateRule{"3F000", kTerminal, "UndefinedObject"},
    SqlstateRule{"42P01", kTerminal, "UndefinedObject"},
    SqlstateRule{"42703", kTerminal, "UndefinedObject"},
    SqlstateRule{"42704", kTerminal, "UndefinedObject"},
    SqlstateRule{"42883", kTerminal, "UndefinedObject"},
    SqlstateRule{"42P06", kTerminal, "DuplicateObject"},
    SqlstateRule{"42P07", kTerminal, "DuplicateObject"},
    SqlstateRule{"42710", kTerminal, "DuplicateObject"},
    SqlstateRule{"42723", kTerminal, "DuplicateObject"},
    SqlstateRule{"2BP01", kTerminal, "DependentObjectsExist"},
    SqlstateRule{"0A", kTerminal, "FeatureNotSupported"},
    SqlstateRule{"42", kTerminal, "InvalidStatement"},
    // Data that the other side refuses.
    SqlstateRule{"22", kTerminal, "DataException"},
    SqlstateRule{"22P04", kTerminal, "BadCopyFormat"},
    SqlstateRule{"23", kTerminal, "ConstraintViolation"},
    SqlstateRule{"25", kTerminal, "InvalidTransactionState"},
    SqlstateRule{"P0", kTerminal, "RaisedException"},
};

std::string ObjectNamedBy(const ServerError& said) {
  std::string object = said.schema;
  for (const std::string* part : {&said.table, &said.column, &said.constraint}) {
    if (part->empty()) continue;
    if (!object.empty()) object += '.';
    object += *part;
  }
  return object;
}

}  // namespace

const SqlstateRule& RuleFor(std::string_view sqlstate) {
  const SqlstateRule* best = &kRules.front();
  for (const SqlstateRule& rule : kRules) {
    if (sqlstate.starts_with(rule.prefix) && rule.prefix.size() > best->prefix.size()) best = &rule;
  }
  return *best;
}

Error ErrorFrom(const ServerError& said, std::string_view doing) {
  const SqlstateRule& rule = RuleFor(said.sqlstate);
  std::string message(doing);
  if (!message.empty()) message += ": ";
  std::string object = ObjectNamedBy(said);
  if (!object.empty()) message += object + ": ";
  message += said.message;
  if (!said.hint.empty()) message += " (" + said.hint + ")";
  if (!said.sqlstate.empty()) message += " [SQLSTATE " + said.sqlstate + "]";
  return Error{rule.disposition, std::string(rule.reason), std::move(message)};
}

}  // namespace cutover::pg
