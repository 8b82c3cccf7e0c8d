// kstone-compact: the worker at work on RocksDB. README.md shows how to call it.

#include <CLI/CLI.hpp>
#include <cstdio>
#include <exception>
#include <string>

#include "bad_input.h"
#include "demo.h"
#include "escape.h"
#include "interrupt.h"
#include "offline.h"
#include "output.h"

namespace kstone::compact {
namespace {

int complain(const std::string& what) {
  std::fprintf(stderr, "kstone-compact: %s\n", printable(what).c_str());
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
  offline->add_option("--column-family", options.families, "Compact this column family only (may be repeated)")
      ->allow_extra_args(false);
  offline->add_option("--min-ssts", options.min_ssts, "Compact column families of at least this many SSTs only");
  offline->add_option("--workers", options.workers, "Compactions at a time")
      ->check(CLI::Range(1, 4095))
      ->capture_default_str();
  offline->add_flag("--json", options.json, "Print the report as JSON, and progress to stderr");
  return offline;
}

int run(int argc, char** argv) {
  CLI::App app("The background compaction worker, driving RocksDB");
  app.name("kstone-compact");
  app.require_subcommand(1);
  app.footer(
      "Exit status: 0 done; 1 a key is not as written; 2 bad input, a refusing machine, or a result that cannot be written; "
      "130, 143 or 129 interrupted by SIGINT, SIGTERM or SIGHUP.");
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
  // For ever: a signal may still come while the process ends.
  static auto& wakeup = *new Wakeup;
  handle_signals(wakeup);
  const int status = offline->parsed() ? run_offline(offline_options, wakeup) : run_demo(demo_options, wakeup);
  if (status != exit_wrong_data) {  // which is told on stderr, and matters more
    finish_stdout();
  }
  return status == exit_interrupted ? interrupt_status() : status;
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
