// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "operator/api/field_reader.h"
#include "operator/api/tenant_migration.h"

namespace cutover::api {

// The parts of a migration's status that hold nothing but times, numbers and texts, so that a
// reader who has to get along with unknown phases (the plugin) reads them like the operator. What
// cannot be read has its default, and FieldReader::Failure() says so.

PreflightStatus ReadPreflight(FieldReader fields);
MigrationProgress ReadProgress(FieldReader fields);
std::vector<Sample> ReadSamples(FieldReader& status);
CutoverStatus ReadCutoverStatus(FieldReader fields);
RollbackStatus ReadRollback(FieldReader fields);
VerificationStatus ReadVerification(FieldReader fields);
std::vector<CheckStatus> ReadCheckStatuses(FieldReader& status);
HandledTokens ReadHandled(FieldReader fields);

}  // namespace cutover::api
