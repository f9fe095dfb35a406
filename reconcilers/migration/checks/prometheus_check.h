// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stop_token>
#include <string>
#include <vector>

#include "operator/api/tenant_migration.h"
#include "operator/base/deadline.h"
#include "operator/base/result.h"
#include "operator/kube/transport.h"
#include "reconcilers/migration/checks/check.h"

namespace cutover::migration {

/// What Prometheus's answer comes to. Never kNotStarted nor kRunning.
struct PrometheusVerdict {
  Verdict verdict = Verdict::kUnknown;
  std::string message;
};

/// "http://prometheus.monitoring.svc:9090/api/v1/query?query=…" for an instant query at the
/// server's own time (https://prometheus.io/docs/prometheus/latest/querying/api/#instant-queries).
std::string InstantQueryUrl(const api::PrometheusCheck& check);

/// Judges an answer of the query API: passed when there is at least one value and every one is
/// within the bounds, themselves included. No value, a value that is no number, a result that is no
/// scalar and no instant vector, or an error of the server's is unknown: a monitoring that has no
/// answer must neither send a tenant back nor let its way back close. Pure.
PrometheusVerdict Judge(const api::PrometheusCheck& check, const kube::Response& response);

/// Asks and judges. A server that does not answer leaves it unknown, too. Terminal
/// "PrometheusNotAllowed" unless the url is in `namespace_name` or one of `allowed_urls`.
Result<PrometheusVerdict> RunPrometheusCheck(std::stop_token stop, Deadline deadline,
                                             const CheckContext& context,
                                             const api::PrometheusCheck& check);

/// The rule of "PrometheusNotAllowed" alone. Answers may be about other tenants, so that which
/// servers may be asked is up to whoever runs the operator.
Status MayAskPrometheus(const api::PrometheusCheck& check, const std::string& namespace_name,
                        const std::vector<std::string>& allowed_urls);

}  // namespace cutover::migration
