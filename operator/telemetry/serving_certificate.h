// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>

#include "operator/base/clock.h"
#include "operator/base/result.h"
#include "operator/kube/credentials.h"

namespace cutover::telemetry {

/// The certificate that a server shows: that of tls.crt and tls.key in `directory`, as a Secret of
/// type kubernetes.io/tls is mounted, read again when they change (see FileTls); or, without a
/// directory, one made here and now, which nobody can verify: it keeps what passes from those who
/// only listen. Terminal error "InvalidCertificate" when the files cannot be read.
Result<std::shared_ptr<kube::TlsSource>> ServingCertificate(const std::string& directory,
                                                            const Clock& clock = RealClock());

}  // namespace cutover::telemetry
