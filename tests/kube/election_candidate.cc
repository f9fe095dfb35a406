// SPDX-License-Identifier: Apache-2.0
//
// Stands for election until it is killed: the victim of election_kube_test.
#include <iostream>

#include "tests/kube/api_server.h"
#include "tests/kube/election_options.h"

int main(int count, char** words) {
  if (count != 3) {
    std::cerr << "usage: election_candidate NAMESPACE IDENTITY\n";
    return 2;
  }
  auto client = cutover::testing::MakeClient();
  cutover::kube::LeaderElector elector(*client,
                                       cutover::testing::QuickElection(words[1], words[2]));
  elector.Run({}, [](int64_t) {});
  return 1;
}
