// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "operator/base/json.h"

namespace cutover::cli {

/// `text` without the passwords of the URIs in it, and without the values that follow "password=",
/// "password: ", "\"password\":" (also in a text within a text) or SQL's "PASSWORD '". A quoted
/// value goes to its closing quote, any other to the next space or separator. Pure.
std::string WithoutPasswords(const std::string& text);

/// `document` with every text WithoutPasswords; values of keys that name a secret (password, token,
/// …), and of environment variables that do, become "(removed)", those of a Secret's data and
/// stringData too. managedFields and kubectl's own copy of the object (last-applied-configuration)
/// are left out. Pure.
Json Redacted(const Json& document);

}  // namespace cutover::cli
