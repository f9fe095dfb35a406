// SPDX-License-Identifier: Apache-2.0
#include "cli/verbs/completion.h"

#include <algorithm>
#include <string_view>

#include "cli/console.h"
#include "cli/verbs/verb.h"

namespace cutover::cli {
namespace {

constexpr char kExamples[] =
    "  For `kubectl cutover …`, whatever the shell (kubectl 1.26 or newer asks this program):\n"
    "    kubectl cutover completion kubectl >~/.local/bin/kubectl_complete-cutover\n"
    "    chmod +x ~/.local/bin/kubectl_complete-cutover\n"
    "  For `kubectl-cutover …`:\n"
    "    source <(kubectl cutover completion bash)\n"
    "    kubectl cutover completion fish | source";

// The last line, ":4", tells kubectl not to complete names of files.
constexpr char kForKubectl[] =
    "#!/bin/sh\nkubectl-cutover __complete \"$@\" 2>/dev/null\necho :4\n";
constexpr char kForBash[] =
    "_kubectl_cutover() {\n"
    "  local IFS=$'\\n'\n"
    "  COMPREPLY=($(kubectl-cutover __complete \"${COMP_WORDS[@]:1:COMP_CWORD}\" 2>/dev/null))\n"
    "}\n"
    "complete -F _kubectl_cutover kubectl-cutover\n";
constexpr char kForZsh[] =
    "#compdef kubectl-cutover\n"
    "_kubectl_cutover() {\n"
    "  local -a found\n"
    "  found=(${(f)\"$(kubectl-cutover __complete \"${(@)words[2,CURRENT]}\" 2>/dev/null)\"})\n"
    "  compadd -a found\n"
    "}\n"
    "compdef _kubectl_cutover kubectl-cutover\n";
constexpr char kForFish[] =
    "complete -c kubectl-cutover -f -a "
    "'(kubectl-cutover __complete (commandline -opc)[2..] (commandline -ct) 2>/dev/null)'\n";

class CompletionVerb : public Verb {
 public:
  explicit CompletionVerb(CLI::App& app)
      : Verb(app, "completion", "Print what completes command lines in a shell", kExamples) {
    command()
        ->add_option("SHELL", shell_, "kubectl, bash, zsh or fish")
        ->required()
        ->check(CLI::IsMember({"kubectl", "bash", "zsh", "fish"}));
  }

  Result<ExitCode> Run(const ClusterFlags&) override {
    Print(shell_ == "kubectl" ? kForKubectl
          : shell_ == "bash"  ? kForBash
          : shell_ == "zsh"   ? kForZsh
                              : kForFish);
    return kExitGood;
  }

 private:
  std::string shell_;
};

// The flags of an unfinished line that say which cluster is meant.
ClusterFlags FlagsOf(const std::vector<std::string>& words) {
  ClusterFlags flags;
  for (size_t i = 0; i + 1 < words.size(); ++i) {
    if (words[i] == "-n" || words[i] == "--namespace") flags.ns = words[i + 1];
    if (words[i] == "--context") flags.choice.context = words[i + 1];
    if (words[i] == "--kubeconfig") flags.choice.kubeconfig = words[i + 1];
  }
  return flags;
}

std::vector<std::string> NamesOf(const ClusterFlags& flags, const kube::Resource& resource) {
  std::vector<std::string> names;
  const Result<Cluster> cluster = Cluster::Connect(flags);
  if (!cluster) return names;
  const auto objects = cluster->List(resource, resource.namespaced ? cluster->ns() : "");
  if (!objects) return names;
  for (const Json& object : *objects) names.push_back(object.At({"metadata", "name"}).AsString());
  return names;
}

std::vector<std::string> FlagNames(const CLI::App& command) {
  std::vector<std::string> names;
  for (const CLI::Option* option : command.get_options())
    for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
  return names;
}

const CLI::App* VerbOf(const CLI::App& app, const std::vector<std::string>& words) {
  for (size_t i = 0; i + 1 < words.size(); ++i)
    for (const CLI::App* verb : app.get_subcommands({}))
      if (verb->get_name() == words[i]) return verb;
  return nullptr;
}

// What may stand after a flag; nothing where anything may.
std::vector<std::string> ValuesOf(const std::string& flag, const ClusterFlags& flags) {
  if (flag == "--to") return NamesOf(flags, kube::kDatabaseServer);
  if (flag == "-n" || flag == "--namespace") return NamesOf(flags, kube::kNamespace);
  if (flag == "--backup-claim") return NamesOf(flags, kube::kPersistentVolumeClaim);
  if (flag == "--approval") return {"Automatic", "Manual"};
  if (flag == "-o" || flag == "--output") return {"json", "yaml"};
  return {};
}

bool TakesValue(const CLI::App& app, const CLI::App* verb, const std::string& flag) {
  for (const CLI::App* command : {&app, verb}) {
    const CLI::Option* option = command ? command->get_option_no_throw(flag) : nullptr;
    if (option) return option->get_items_expected_max() > 0;
  }
  return false;
}

}  // namespace

std::vector<std::string> Complete(const CLI::App& app, const std::vector<std::string>& words) {
  if (words.empty()) return {};
  const std::string& begun = words.back();
  const CLI::App* verb = VerbOf(app, words);
  const std::string before = words.size() > 1 ? words[words.size() - 2] : "";
  std::vector<std::string> candidates;
  if (before.starts_with('-') && TakesValue(app, verb, before)) {
    candidates = ValuesOf(before, FlagsOf(words));
  } else if (begun.starts_with('-')) {
    candidates = FlagNames(app);
    if (verb)
      for (std::string& name : FlagNames(*verb)) candidates.push_back(std::move(name));
  } else if (!verb) {
    for (const CLI::App* known : app.get_subcommands({})) candidates.push_back(known->get_name());
  } else if (verb->get_option_no_throw("NAME")) {
    candidates = NamesOf(FlagsOf(words), kube::kTenantMigration);
  } else if (verb->get_option_no_throw("PLACEMENT")) {
    candidates = NamesOf(FlagsOf(words), kube::kDatabasePlacement);
  } else if (verb->get_option_no_throw("SHELL")) {
    candidates = {"bash", "fish", "kubectl", "zsh"};
  }
  std::erase_if(candidates, [&](const std::string& name) { return !name.starts_with(begun); });
  std::sort(candidates.begin(), candidates.end());
  candidates.erase(std::unique(candidates.begin(), candidates.end()), candidates.end());
  return candidates;
}

std::unique_ptr<Verb> MakeCompletionVerb(CLI::App& app) {
  return std::make_unique<CompletionVerb>(app);
}

}  // namespace cutover::cli
