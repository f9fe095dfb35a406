// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "operator/base/result.h"

namespace cutover::wiring {

/// The connection that an odoo.conf names. Nothing: the key is absent, empty, or "False" or "None",
/// which Odoo takes for its own default (a local socket, port 5432).
struct OdooConnection {
  std::optional<std::string> host, port, user, password, replica_host, replica_port;

  friend bool operator==(const OdooConnection&, const OdooConnection&) = default;
};

/// Reads section [options] (and [DEFAULT] below it) as Odoo's RawConfigParser does: keys in any
/// case, `=` or `:`, values over several lines by indentation, `#` and `;` lines are comments, `%`
/// means nothing, and of a key given twice the last value wins.
OdooConnection ReadOdooConf(std::string_view text);

/// What an edit makes of the connection.
struct OdooConfEdit {
  std::string host;
  int port = 5432;
  std::string user;                     ///< Replaces db_user where it is set; never added.
  std::optional<std::string> password;  ///< Replaces db_password, or is added when absent.
};

/// `text` with db_host and db_port (added when absent: the default would be a socket), db_user and
/// db_password as OdooConfEdit says. Every other byte stays: comments, order, `%`, blank lines,
/// line ends, indentation, the spelling of keys. Every occurrence of a key given twice is changed,
/// so that whichever Odoo reads is right.
///
/// Replica keys (Odoo 18 and newer) that name a host are pointed at `host` and `port` as well,
/// never removed and never added: reads must not stay behind on the source, a primary serves them
/// rightly, and the line stays where a person will look for it to name a real replica. A replica
/// host without replica port gets one when `port` is not 5432, since libpq's default would be used.
///
/// Terminal "InvalidValue" when a value cannot be written in this format (a line break, or white
/// space at an end); the message does not repeat the value. Terminal "UnreadableOdooConf" for a
/// file that would not say so afterwards, because Odoo cannot read it.
Result<std::string> EditOdooConf(std::string_view text, const OdooConfEdit& edit);

/// `current` with the connection lines of `original`. Byte for byte `original` when nothing but the
/// connection differs; otherwise somebody changed other lines since, and theirs are kept.
std::string RestoreOdooConf(std::string_view current, std::string_view original);

}  // namespace cutover::wiring
