// SPDX-License-Identifier: Apache-2.0
#include "tests/kube/api_server.h"
#include "tests/kube/crd/crd_server.h"
#include "tests/sim/api/api_contract.h"

namespace cutover::sim {
namespace {

INSTANTIATE_TEST_SUITE_P(ApiServer, ApiContract,
                         ::testing::Values(ApiSubject{
                             "Real",
                             [] {
                               std::shared_ptr<kube::Client> client = testing::MakeClient();
                               testing::InstallCrds(*client);
                               return client;
                             },
                             [](kube::Client& client) { return testing::MakeNamespace(client); }}),
                         [](const auto& test) { return test.param.name; });

}  // namespace
}  // namespace cutover::sim
