// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

#include "mover/clone.h"
#include "mover/contract/job_spec.h"
#include "mover/process/pg_programs.h"
#include "mover/process/reporter.h"
#include "mover/verify/verify.h"
#include "tests/postgres/servers.h"

namespace cutover::mover::testing {

/// A tenant on the source server whose database holds traps.sql, with two roles. Dropped at the
/// end, and so is the copy, with the roles that came along.
class TrapTenant {
 public:
  /// `target`: which server the copy shall be made on. Objects that its major cannot hold are left
  /// out.
  explicit TrapTenant(const pg::ConnectOptions& target);
  ~TrapTenant();
  TrapTenant(const TrapTenant&) = delete;
  TrapTenant& operator=(const TrapTenant&) = delete;

  pg::ConnectOptions Source() const { return database_.Options(); }
  pg::ConnectOptions Copy() const { return target_.WithDatabase(copy_); }
  const std::string& tenant() const { return tenant_.name(); }
  const std::string& reader() const { return reader_.name(); }
  const std::string& copy_name() const { return copy_; }

  CloneOptions CloneAll() const;
  VerifyOptions VerifyAll() const;

 private:
  pg::ConnectOptions target_;
  pg::testing::TestRole tenant_;
  pg::testing::TestRole reader_;
  pg::testing::TestDatabase database_;
  std::string copy_;
};

/// A clone of `source` into a database `copy` that it creates on the server of `admin`.
CloneOptions CloneTo(const pg::ConnectOptions& source, const pg::ConnectOptions& admin,
                     const std::string& copy);

PgPrograms Programs();

/// As a Job's spec names it: without the password.
Endpoint EndpointOf(const pg::ConnectOptions& options);

/// The report, or a failed test.
Report MustClone(const CloneOptions& options);
Report MustVerify(const VerifyOptions& options);

/// "public.twins (rowCount); …": for messages.
std::string Describe(const Report& report);

}  // namespace cutover::mover::testing
