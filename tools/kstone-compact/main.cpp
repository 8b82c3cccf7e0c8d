// kstone-compact: the worker at work on RocksDB. README.md shows how to call it.

#include <rocksdb/version.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <new>
#include <span>
#include <string>
#include <system_error>
#include <vector>

#include "aborts.h"
#include "bad_input.h"
#include "demo.h"
#include "escape.h"
#include "interrupt.h"
#include "kstone/version.h"
#include "offline/offline.h"
#include "options.h"
#include "output.h"

namespace kstone::compact {
namespace {

int complain(const std::string& what) {
  std::fprintf(stderr, "kstone-compact: %s\n", printable(what).c_str());
  return exit_bad_input;
}

void add_demo(CLI::App& app, DemoOptions& options) {
  auto& demo = *app.add_subcommand(
      "demo", "Load and update real records while the worker compacts, then check every key");
  add_path(demo, "--input", options.input,
           "File of lines key TAB value, in place of Debian's package index");
  add_number(demo, "--stripes", options.stripes, {16, 256},
             "Stripes: column families of the database");
  add_number(demo, "--workers", options.workers, {1, 4095}, "Compactions at a time");
  add_path(demo, "--dir", options.folder,
           "New or empty folder for the database, which stays (default: a temporary one)");
  demo.add_flag("--keep", options.keep, "Keep the temporary folder");
  add_number(demo, "--compact-mib", options.compact_mib, {1, 1 << 20},
             "Write until compactions have read and written this many MiB");
  add_number(demo, "--seconds", options.seconds, {0, 1e6},
             "Write for this long at most, but load every record");
  add_number(demo, "--seed", options.seed, {0, UINT64_MAX}, "Seed of the mix of writes");
  add_path(demo, "--summary", options.summary, "Where to write the summary")->capture_default_str();
  demo.add_flag("--json", options.json,
                "Print the summary instead of the table, and progress to stderr");
}

// An option with two values: whether it is the first.
template <typename Take>
void add_choice(CLI::App& app, const char* name, const char* first, const char* second, Take take,
                const char* what) {
  app.add_option_function<std::string>(
         name,
         [=](const std::string& word) {
           if (word != first && word != second) {
             throw CLI::ValidationError(
                 name, "'" + escaped(word) + "' is neither " + first + " nor " + second);
           }
           take(word == first);
         },
         what)
      ->type_name(std::string(first) + "|" + second)
      ->default_str(first);
}

CLI::App* add_offline(CLI::App& app, OfflineOptions& options) {
  auto* offline = app.add_subcommand(
      "db", "Compact a RocksDB database that nobody has open; Ctrl-C stops and reports");
  offline->add_option("PATH", options.path, "Folder of the database")->required();
  const auto family = [&](const char* name, std::vector<std::string>& families, const char* what) {
    offline->add_option(name, families, what)->allow_extra_args(false)->type_name("NAME");
  };
  offline->add_flag("--plan", options.plan,
                    "Only look: say what would be done, what it needs, and what speaks against it");
  family("--column-family", options.families, "Compact this column family only (may be repeated)");
  family("--skip-family", options.skip_families,
         "Leave this column family alone (may be repeated)");
  add_number(*offline, "--min-ssts", options.min_ssts, {0, UINT32_MAX},
             "Compact column families of at least this many SSTs only");
  add_number(*offline, "--workers", options.workers, {1, 4095}, "Compactions at a time");
  add_choice(
      *offline, "--verify", "properties", "full",
      [&options](bool first) {
        options.verify = first ? VerifyMode::properties : VerifyMode::full;
      },
      "Compare before and after: the entries of SSTs, or every record");
  add_choice(
      *offline, "--bottommost", "rewrite", "keep",
      [&options](bool first) { options.rewrites_last_level = first; },
      "SSTs of the last level to which nothing comes from above");
  offline->add_flag("--json", options.json,
                    "Print the report, or the plan, as JSON, and progress to stderr");
  const auto answer = [&](const char* name, std::vector<std::string>& values, const char* type,
                          const char* what) {
    offline->add_option(name, values, what)
        ->allow_extra_args(false)
        ->type_name(type)
        ->group("What you answer for");
  };
  const std::string group = "What you answer for";
  offline
      ->add_option("--options-file", options.options_file,
                   "Options of the database, in place of its own file")
      ->type_name("FILE")
      ->group(group);
  offline->add_option("--wal-dir", options.wal_dir, "Where its write-ahead log is")
      ->type_name("PATH")
      ->group(group);
  answer("--db-path", options.db_paths, "PATH",
         "One of its db_paths; repeat it in the owner's order");
  answer("--cf-path", options.cf_paths, "FAMILY=PATH",
         "One of a family's cf_paths; repeat it in the owner's order");
  answer("--merge-operator", options.merge_operators, "FAMILY=SPEC",
         "A family's merge operator, as options files name it: uint64add, "
         "{id=StringAppendOperator;delimiter=,;}");
  answer("--accept-loss", options.accepted_losses, "KIND[:FAMILY]",
         "Go on although this is lost; refusals name the kind");
  offline
      ->add_flag("--ignore-free-space", options.ignore_free_space,
                 "Go on although the disk may become full")
      ->group(group);
  return offline;
}

// What CLI11 says of these names neither the word nor what there is.
void require_subcommand(int argc, char** argv) {
  for (const std::string word : std::span(argv, static_cast<std::size_t>(argc)).subspan(1)) {
    if (word == "demo" || word == "db" || word == "--help" || word == "-h" || word == "--version") {
      return;
    }
    throw BadInput(std::string("unknown ") + (word.starts_with('-') ? "option" : "subcommand") +
                   " '" + escaped(word) + "'; demo and db exist, and --help");
  }
}

std::string unexpected_word(const CLI::App& app) {
  const auto& subcommand = *app.get_subcommands().front();
  const auto words = subcommand.remaining();
  const auto is_option = [](const std::string& word) { return word.starts_with('-'); };
  const auto option = std::find_if(words.begin(), words.end(), is_option);
  const auto& word = option == words.end() ? words.front() : *option;
  return subcommand.get_name() + ": unknown " + (is_option(word) ? "option" : "argument") + " '" +
         escaped(word) + "'; kstone-compact " + subcommand.get_name() +
         " --help lists what there is";
}

int run(int argc, char** argv) {
  CLI::App app("The background compaction worker, driving RocksDB");
  app.name("kstone-compact");
  app.require_subcommand(1);
  app.set_version_flag("--version", "kstone-compact " KSTONE_VERSION_STRING " (RocksDB " +
                                        ::rocksdb::GetRocksVersionAsString() + ")");
  app.footer(
      "Exit status: 0 done; 1 what was checked is not as it was or was written; 2 bad input, a "
      "refusing machine, or a "
      "result that cannot be written; "
      "130, 143 or 129 interrupted by SIGINT, SIGTERM or SIGHUP.");
  DemoOptions demo_options;
  add_demo(app, demo_options);
  OfflineOptions offline_options;
  const auto* offline = add_offline(app, offline_options);
  require_stdout();
  try {
    require_subcommand(argc, argv);
    app.parse(argc, argv);
  } catch (const CLI::Success& help) {
    const int status = app.exit(help);
    finish_stdout();
    return status;
  } catch (const CLI::ExtrasError&) {
    return complain(unexpected_word(app));
  } catch (const CLI::ArgumentMismatch& error) {
    const std::string said = error.what();
    return complain(said.find("received") == std::string::npos
                        ? said
                        : said.substr(0, said.find(':')) + ": is given more than once");
  } catch (const CLI::ParseError& error) {
    return complain(error.what());
  }
  // For ever: a signal may still come while the process ends.
  static auto& wakeup = *new Wakeup;
  handle_signals(wakeup);
  const int status =
      offline->parsed() ? run_offline(offline_options, wakeup) : run_demo(demo_options, wakeup);
  if (status != exit_wrong_data) {  // which is told on stderr, and matters more
    finish_stdout();
  }
  return status == exit_interrupted ? interrupt_status() : status;
}

}  // namespace
}  // namespace kstone::compact

int main(int argc, char** argv) {
  using namespace kstone::compact;
  handle_aborts();
  try {
    return run(argc, argv);
  } catch (const std::bad_alloc&) {
    return complain("out of memory");
  } catch (const std::filesystem::filesystem_error& error) {
    return complain(error.what());
  } catch (const std::system_error& error) {
    // Of the rest, threads are all that is asked of the system with exceptions.
    return complain(std::string("the system refuses to start a thread: ") + error.what());
  } catch (const std::exception& error) {
    return complain(error.what());
  }
}
