// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "operator/api/database_server.h"
#include "operator/api/enum_names.h"

namespace cutover::api {

/// Shared by the kinds that speak of a server's class.
inline constexpr EnumNames<ServerClass, 2> kServerClassNames{
    {{ServerClass::kShared, "Shared"}, {ServerClass::kDedicated, "Dedicated"}}};

}  // namespace cutover::api
