// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stop_token>
#include <string>
#include <string_view>

#include "operator/api/tenant_migration.h"
#include "operator/base/deadline.h"
#include "operator/base/result.h"
#include "operator/kube/transport.h"
#include "reconcilers/migration/checks/check.h"

namespace cutover::migration {

/// A URL of a check in the parts that a request needs.
struct HttpUrl {
  std::string origin;  ///< "http://odoo.acme.svc:8069"
  std::string target;  ///< "/web/login?x=1"; "/" when the URL has none.
};

/// Terminal "InvalidUrl" for anything but plain http with a host.
Result<HttpUrl> ParseHttpUrl(std::string_view url);

/// Terminal "CheckOutsideNamespace" unless `url` names a Service of `namespace_name`. The operator
/// reaches more of the cluster than a tenant may, and quotes what it was answered: a check must not
/// become the tenant's way of looking at others.
Status AsksOwnNamespace(std::string_view url, std::string_view namespace_name);

/// GETs `url`; `host` (when not empty) is sent as Host. Redirects are answers.
Result<kube::Response> Get(std::stop_token stop, Deadline deadline, const HttpConnect& connect,
                           const std::string& url, const std::string& host);

/// Whether `response` is what `check` expects; the error says what came instead. Pure.
Status Judge(const api::HttpCheck& check, const kube::Response& response);

/// Get and Judge.
Status RunHttpCheck(std::stop_token stop, Deadline deadline, const HttpConnect& connect,
                    const api::HttpCheck& check);

/// The beginning of `text` on one line, for a message: white space folded, what cannot be shown
/// left out, never more than `length_max` bytes.
std::string Excerpt(std::string_view text, size_t length_max = 120);

}  // namespace cutover::migration
