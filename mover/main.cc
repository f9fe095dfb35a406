// SPDX-License-Identifier: Apache-2.0
#include <malloc.h>
#include <signal.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>
#include <stop_token>
#include <string>
#include <vector>

#include "mover/cli/flags.h"
#include "mover/cli/verb.h"
#include "mover/contract/job_spec.h"
#include "mover/process/pg_programs.h"
#include "mover/process/reporter.h"
#include "mover/process/signal_watch.h"

namespace cutover::mover::cli {
namespace {

Outcome Run(std::stop_token stop, const std::string& pg_bindir, Verb& verb) {
  // Ends here, with its last line, before anything is printed.
  Reporter reporter(isatty(STDERR_FILENO) ? Reporter::Output::kTerminal
                                          : Reporter::Output::kJsonLines);
  return verb.Run(stop, PgPrograms::In(pg_bindir), reporter);
}

void Print(const Outcome& outcome) {
  std::printf("%s\n", outcome.summary.DumpPretty().c_str());
  std::fflush(stdout);
  for (const std::string& message :
       {outcome.summary["error"]["message"].AsString(), outcome.summary["reportError"].AsString()})
    if (!message.empty()) std::fprintf(stderr, "cutover-mover: %s\n", message.c_str());
}

/// Little memory for many tables and threads: few arenas, as what one thread has let go another
/// cannot take, and large blocks given back to the system. With
/// 20,000 tables two arenas had a peak of 152 MiB where the default had 178.
void BoundMemory() {
  constexpr int kArenasMax = 2;
  constexpr int kLargeBlockBytes = 1 << 20;
  mallopt(M_ARENA_MAX, kArenasMax);
  mallopt(M_MMAP_THRESHOLD, kLargeBlockBytes);
  mallopt(M_TRIM_THRESHOLD, kLargeBlockBytes);
}

int Main(int argc, char** argv) {
  BoundMemory();
  CLI::App app{"Moves PostgreSQL databases between servers and proves that nothing was lost."};
  app.require_subcommand(1);
  app.set_version_flag("--version", std::string("cutover-mover ") + CUTOVER_VERSION);
  app.footer(std::string("`cutover-mover VERB --help` shows a verb's flags and examples.\n") +
             kConnectionsHelp + "\n" + kExitCodesHelp);
  std::string pg_bindir;
  app.add_option("--pg-bindir", pg_bindir,
                 "Directory of pg_dump and pg_restore, of the newest major in play "
                 "(default: CUTOVER_PG_BINDIR, then PATH)");
  std::vector<std::unique_ptr<Verb>> verbs;
  for (auto make : {MakeCloneVerb, MakeVerifyVerb, MakeBackupVerb, MakeJobVerb})
    verbs.push_back(make(app));
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? kExitProven : kExitUsage;
  }
  SignalWatch::Block({SIGTERM, SIGINT, SIGUSR1, SIGUSR2});
  signal(SIGPIPE, SIG_IGN);
  std::stop_source stop;
  const SignalWatch signals({SIGTERM, SIGINT}, [&stop](int) { stop.request_stop(); });
  for (const std::unique_ptr<Verb>& verb : verbs) {
    if (!verb->chosen()) continue;
    const Outcome outcome = Run(stop.get_token(), pg_bindir, *verb);
    Print(outcome);
    return outcome.exit_code;
  }
  return kExitUsage;  // CLI11 has required one.
}

}  // namespace
}  // namespace cutover::mover::cli

int main(int argc, char** argv) { return cutover::mover::cli::Main(argc, argv); }
