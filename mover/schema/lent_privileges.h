// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stop_token>

#include "mover/plan/restore_script.h"
#include "operator/base/deadline.h"
#include "operator/base/result.h"
#include "postgres/connection.h"

namespace cutover::mover {

/// Only a superuser gives an object to a role that may not create objects in its schema. Others
/// must lend it CREATE there meanwhile, as for schema public: its owner is whoever owns the
/// database, which is the admin until the tenant is let in.

/// Grants CREATE on each schema to the roles of `script` that own something in it and may not
/// create there, and on the database to those that own publications. The schemas exist. Does
/// nothing for a superuser. Safe to repeat.
Status LendCreate(std::stop_token stop, Deadline deadline, pg::Connection& target,
                  const RestoreScript& script);

/// Takes that back from the same roles, in one transaction, and repeats the schemas' own grants,
/// which may have said the same. Does nothing for a superuser. Safe to repeat.
Status TakeBackCreate(std::stop_token stop, Deadline deadline, pg::Connection& target,
                      const RestoreScript& script);

}  // namespace cutover::mover
