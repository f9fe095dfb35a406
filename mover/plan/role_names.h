// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <string>

#include "mover/plan/restore_script.h"
#include "mover/schema/extensions.h"
#include "mover/schema/large_objects.h"
#include "postgres/database.h"
#include "postgres/roles.h"

namespace cutover::mover {

/// Roles that have another name on the target: source → target.
using RoleNames = std::map<std::string, std::string>;

/// Everything here is pure, and gives roles the names that they have on the target. Applied to what
/// was read from the source, it makes a source that has those names already; restoring and
/// comparing then know nothing of other names.

std::string Renamed(const RoleNames& names, const std::string& role);

/// Whom an entry's statements give it to (… OWNER TO …); empty for entries that give nothing away.
/// RestoreItem::owner comes from a comment, which a role's name may lead astray.
std::string OwnerOf(const RestoreItem& item);

/// `sql` with the roles renamed that its statements name as roles: after OWNER TO, in GRANT, REVOKE
/// and ALTER DEFAULT PRIVILEGES, in policies, user mappings, CREATE SCHEMA … AUTHORIZATION and SET
/// SESSION AUTHORIZATION. Every role comes out in quotes, whether renamed or not, so that two texts
/// can be compared after both went through here. Not touched: names in strings, function bodies and
/// expressions, which mean whatever their author meant.
std::string RenameRoles(const RoleNames& names, const std::string& sql);

/// Owners, statements, and names of entries that hold a role's (user mappings).
void RenameRoles(const RoleNames& names, RestoreScript& script);
void RenameRoles(const RoleNames& names, pg::RoleSet& roles);
void RenameRoles(const RoleNames& names, pg::DatabaseAccess& access);
void RenameRoles(const RoleNames& names, pg::DatabaseProperties& properties);
void RenameRoles(const RoleNames& names, LargeObjects& objects);
void RenameRoles(const RoleNames& names, std::vector<Extension>& extensions);

}  // namespace cutover::mover
