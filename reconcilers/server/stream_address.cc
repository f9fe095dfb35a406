// SPDX-License-Identifier: Apache-2.0
#include "reconcilers/server/stream_address.h"

namespace cutover::server {

pg::PublisherAddress StreamAddress(const api::DatabaseServer& server, const std::string& database) {
  const api::DatabaseServerSpec& spec = server.spec;
  pg::PublisherAddress address{spec.endpoint.host, spec.endpoint.port, database,
                               spec.endpoint.ssl_mode};
  if (!spec.replication_host.empty()) {
    address.host = spec.replication_host;
    address.port = spec.replication_port;
  }
  if (address.ssl_mode.starts_with("verify-")) address.ssl_mode = "require";
  return address;
}

}  // namespace cutover::server
