// SPDX-License-Identifier: Apache-2.0
#include "reconcilers/migration/profiles/profile.h"

#include "reconcilers/migration/profiles/generic.h"
#include "reconcilers/migration/profiles/odoo.h"

namespace cutover::migration {

const Profile& ProfileOf(api::ProfileType type) {
  static const GenericProfile generic;
  static const OdooProfile odoo;
  if (type == api::ProfileType::kOdoo) return odoo;
  return generic;
}

}  // namespace cutover::migration
