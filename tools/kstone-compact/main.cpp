// kstone-compact: the worker at work on RocksDB. README.md shows how to call it.

#include <CLI/CLI.hpp>
#include <cstdio>
#include <exception>
#include <map>
#include <string>
#include <vector>

#include "bad_input.h"
#include "demo.h"
#include "interrupt.h"
#include "offline/offline.h"
#include "output.h"

namespace kstone::compact {
namespace {

int complain(const std::string& what) {
  // One line, whatever the text holds.
  std::fprintf(stderr, "kstone-compact: %s\n", what.substr(0, what.find('\n')).c_str());
  return exit_bad_input;
}

void add_demo(CLI::App& app, DemoOptions& options) {
  auto* demo = app.add_subcommand("demo", "Load and update real records while the worker compacts, then check every key");
  demo->add_option("--input", options.input, "File of lines key TAB value, in place of Debian's package index");
  demo->add_option("--stripes", options.stripes, "Stripes: column families of the database")
      ->check(CLI::Range(16, 256))
      ->capture_default_str();
  demo->add_option("--workers", options.workers, "Compactions at a time")->check(CLI::Range(1, 4095))->capture_default_str();
  demo->add_option("--dir", options.folder, "New or empty folder for the database, which stays (default: a temporary one)");
  demo->add_flag("--keep", options.keep, "Keep the temporary folder");
  demo->add_option("--compact-mib", options.compact_mib, "Write until compactions have read and written this many MiB")
      ->check(CLI::Range(1, 1 << 20))
      ->capture_default_str();
  demo->add_option("--seconds", options.seconds, "Write for this long at most, but load every record")
      ->check(CLI::Range(0.0, 1e6))
      ->capture_default_str();
  demo->add_option("--seed", options.seed, "Seed of the mix of writes")->capture_default_str();
  demo->add_option("--summary", options.summary, "Where to write the summary")->capture_default_str();
  demo->add_flag("--json", options.json, "Print the summary instead of the table, and progress to stderr");
}

CLI::App* add_offline(CLI::App& app, OfflineOptions& options) {
  auto* offline = app.add_subcommand("db", "Compact a RocksDB database that nobody has open; Ctrl-C stops and reports");
  offline->add_option("PATH", options.path, "Folder of the database")->required();
  const auto family = [&](const char* name, std::vector<std::string>& families, const char* what) {
    offline->add_option(name, families, what)->allow_extra_args(false)->type_name("NAME");
  };
  offline->add_flag("--plan", options.plan, "Only look: say what would be done, what it needs, and what speaks against it");
  family("--column-family", options.families, "Compact this column family only (may be repeated)");
  family("--skip-family", options.skip_families, "Leave this column family alone (may be repeated)");
  offline->add_option("--min-ssts", options.min_ssts, "Compact column families of at least this many SSTs only");
  offline->add_option("--workers", options.workers, "Compactions at a time")
      ->check(CLI::Range(1, 4095))
      ->capture_default_str();
  offline->add_option("--verify", options.verify, "Compare before and after: the entries of SSTs, or every record")
      ->transform(CLI::CheckedTransformer(
          std::map<std::string, VerifyMode>{{"properties", VerifyMode::properties}, {"full", VerifyMode::full}}))
      ->default_str("properties");
  offline->add_flag("--json", options.json, "Print the report, or the plan, as JSON, and progress to stderr");
  const auto answer = [&](const char* name, std::vector<std::string>& values, const char* type, const char* what) {
    offline->add_option(name, values, what)->allow_extra_args(false)->type_name(type)->group("What you answer for");
  };
  const std::string group = "What you answer for";
  offline->add_option("--options-file", options.options_file, "Options of the database, in place of its own file")
      ->type_name("FILE")
      ->group(group);
  offline->add_option("--wal-dir", options.wal_dir, "Where its write-ahead log is")->type_name("PATH")->group(group);
  answer("--db-path", options.db_paths, "PATH", "One of its db_paths; repeat it in the owner's order");
  answer("--cf-path", options.cf_paths, "FAMILY=PATH", "One of a family's cf_paths; repeat it in the owner's order");
  answer("--merge-operator", options.merge_operators, "FAMILY=SPEC",
         "A family's merge operator, as options files name it: uint64add, {id=StringAppendOperator;delimiter=,;}");
  answer("--accept-loss", options.accepted_losses, "KIND[:FAMILY]", "Go on although this is lost; refusals name the kind");
  offline->add_flag("--ignore-free-space", options.ignore_free_space, "Go on although the disk may become full")
      ->group(group);
  return offline;
}

int run(int argc, char** argv) {
  CLI::App app("The background compaction worker, driving RocksDB");
  app.name("kstone-compact");
  app.require_subcommand(1);
  app.footer("Exit status: 0 done; 1 a key is not as written; 2 bad input or a refusing machine; 130 interrupted.");
  DemoOptions demo_options;
  add_demo(app, demo_options);
  OfflineOptions offline_options;
  const auto* offline = add_offline(app, offline_options);
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& help) {
    return app.exit(help);
  } catch (const CLI::ParseError& error) {
    return complain(error.what());
  }
  require_stdout();
  Wakeup wakeup;
  handle_signals(wakeup);
  const int status = offline->parsed() ? run_offline(offline_options, wakeup) : run_demo(demo_options, wakeup);
  finish_stdout();
  return status;
}

}  // namespace
}  // namespace kstone::compact

int main(int argc, char** argv) {
  try {
    return kstone::compact::run(argc, argv);
  } catch (const std::exception& error) {
    return kstone::compact::complain(error.what());
  }
}
