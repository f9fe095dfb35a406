// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "reconcilers/migration/profiles/profile.h"

namespace cutover::migration {

/// Odoo 14 to 19. All knowledge of Odoo's tables and pages is in odoo.cc. A table or column that a
/// version does not have leaves its figure out, on both sides alike.
class OdooProfile final : public Profile {
 public:
  /// Modules that wait to be installed, upgraded or removed: the next start would change the
  /// database, and with it what verification compared.
  Result<std::vector<Finding>> Preflight(std::stop_token stop, Deadline deadline,
                                         pg::Connection& source) const override;
  /// {"figures": {"activeUsers", "partners", "installedModules"},
  ///  "parameters": {"web.base.url", "database.uuid", "database.secret": SHA-256 of it},
  ///  "attachments": {"<id>": {"storeFname", "checksum", "bytes", "public"}}}
  Result<Json> Baseline(std::stop_token stop, Deadline deadline,
                        pg::Connection& source) const override;
  /// Asks no page that needs a login: a login of a system user may rewrite web.base.url.
  std::vector<BuiltinCheck> Checks(const Json& baseline) const override;
};

}  // namespace cutover::migration
