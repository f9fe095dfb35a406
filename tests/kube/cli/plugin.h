// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "operator/api/tenant_migration.h"
#include "operator/kube/client.h"

namespace cutover::cli::testing {

/// What a run of the program left behind.
struct Ran {
  int exit_code = -1;
  std::string out, error;
};

/// Runs kubectl-cutover without a terminal; `kubeconfig` empty: the shared API server's.
Ran RunPlugin(const std::vector<std::string>& arguments, const std::string& kubeconfig = "");

/// A namespace of its own on the shared API server, with our CRDs. No operator runs: a test plays
/// its part by writing status.
class PluginTest : public ::testing::Test {
 protected:
  PluginTest();

  /// Stores the migration with its status, under `name`.
  void Store(api::TenantMigration migration, const std::string& name);
  Json Stored(const std::string& name);
  /// Writes the status that `change` makes of the stored one, as the operator would.
  void Answer(const std::string& name, const std::function<void(Json& object)>& change);
  /// On another thread: waits until the migration has the annotation, then answers.
  std::jthread AnswerOnce(const std::string& name, const std::string& annotation,
                          const std::function<void(Json& object)>& change);
  /// "-n" and the namespace, after `arguments`.
  Ran Run(std::vector<std::string> arguments);

  std::unique_ptr<kube::ApiClient> client_;
  std::string ns_;
};

}  // namespace cutover::cli::testing
