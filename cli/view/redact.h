// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "operator/base/json.h"

namespace cutover::cli {

/// `text` without the passwords of the URIs in it, and without the values that follow "password="
/// (or "passwd="), "password: ", "\"password\":" (also in a text within a text) or SQL's "PASSWORD
/// '". A quoted value goes to its closing quote, any other to the next space or separator. Pure.
std::string WithoutPasswords(const std::string& text);

/// One line of a file of settings: WithoutPasswords, and without the value of every setting whose
/// name has passw(or)d, secret, token or key in it, as "admin_passwd = x" has. Hides rather too
/// much than too little: where the line begins with such a name, all that follows it. Pure.
std::string WithoutSecretSettings(const std::string& line);

/// Whether `name`, of a field, a variable or a key of a ConfigMap, says that its value is a secret.
bool NamesASecret(const std::string& name);

/// `document` with every text WithoutPasswords; values of keys that name a secret (password, token,
/// …), and of environment variables that do, become "(removed)", those of a Secret's data and
/// stringData too. managedFields and kubectl's own copy of the object (last-applied-configuration)
/// are left out. Pure.
Json Redacted(const Json& document);

}  // namespace cutover::cli
