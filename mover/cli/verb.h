// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <CLI/CLI.hpp>
#include <memory>
#include <stop_token>

#include "mover/job.h"
#include "mover/process/pg_programs.h"
#include "mover/process/reporter.h"

namespace cutover::mover::cli {

/// One verb of the program: a subcommand with its flags, and what it does.
class Verb {
 public:
  explicit Verb(CLI::App* command) : command_(command) {}
  virtual ~Verb() = default;
  Verb(const Verb&) = delete;
  Verb& operator=(const Verb&) = delete;

  /// After the arguments were parsed: whether this is the verb that was named.
  bool chosen() const { return command_->parsed(); }
  virtual Outcome Run(std::stop_token stop, const PgPrograms& programs, Reporter& reporter) = 0;

 protected:
  CLI::App* command() const { return command_; }

 private:
  CLI::App* command_;  ///< Owned by the program's CLI::App.
};

/// Each adds its subcommand to `app`, which must outlive it.
std::unique_ptr<Verb> MakeCloneVerb(CLI::App& app);
std::unique_ptr<Verb> MakeVerifyVerb(CLI::App& app);
std::unique_ptr<Verb> MakeBackupVerb(CLI::App& app);
std::unique_ptr<Verb> MakeJobVerb(CLI::App& app);

}  // namespace cutover::mover::cli
