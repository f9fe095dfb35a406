// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "operator/base/json.h"

namespace cutover::cli {

/// `text` without the passwords of the URIs in it, and without what follows "password=" or
/// "password: " up to the next space. Pure.
std::string WithoutPasswords(const std::string& text);

/// `document` with every text WithoutPasswords; values of keys that name a secret (password, token,
/// …) become "(removed)", those of a Secret's data and stringData too. managedFields and kubectl's
/// own copy of the object (last-applied-configuration) are left out. Pure.
Json Redacted(const Json& document);

}  // namespace cutover::cli
