// Proves the protocol for any number of requesters, worker threads and stripes: a worker begins
// with the invariants, each step keeps them, the properties follow, none can be left out, and each
// broken step breaks one.

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <nlohmann/json.hpp>

#include "proof.h"

namespace kstone::proof {
namespace {

std::string version() {
  unsigned major = 0, minor = 0, build = 0, revision = 0;
  Z3_get_version(&major, &minor, &build, &revision);
  return std::to_string(major) + "." + std::to_string(minor) + "." + std::to_string(build);
}

nlohmann::json document(const Proof& proof, double seconds) {
  nlohmann::json rows = nlohmann::json::array(), breaks = nlohmann::json::array();
  for (const auto& row : proof.rows()) {
    rows.push_back({{"sentence", row.sentence},
                    {"property", row.is_property},
                    {"invariant", row.is_known},
                    {"proven", row.proven},
                    {"failures", row.failures},
                    {"rests_on", row.rests_on},
                    {"serves", row.serves}});
  }
  for (const auto& broken : proof.breaks()) {
    breaks.push_back({{"name", broken.name},
                      {"refuted_by", broken.refuted_by},
                      {"same", broken.same},
                      {"argument", broken.argument}});
  }
  return {{"solver", "Z3 " + version()}, {"seconds", seconds}, {"steps", steps().size()},
          {"proven", proof.proven()},    {"rows", rows},       {"breaks", breaks},
          {"problems", proof.problems()}};
}

void print(const Proof& proof, double seconds) {
  for (const auto& row : proof.rows()) {
    std::printf("%4d  %s%s\n", row.proven, row.is_property ? "property: " : "",
                row.sentence.c_str());
  }
  int refuted = 0, same = 0, argued = 0;
  for (const auto& broken : proof.breaks()) {
    refuted += !broken.refuted_by.empty();
    same += broken.same;
    argued += !broken.argument.empty();
  }
  for (const auto& problem : proof.problems()) {
    std::printf("PROBLEM %s\n", problem.c_str());
  }
  std::printf("%d claims proven of %zu steps, for any number of requesters, threads and stripes; ",
              proof.proven(), steps().size());
  std::printf("%zu broken steps: %d refuted, %d proven to be the same, %d argued; ",
              proof.breaks().size(), refuted, same, argued);
  std::printf("%.0f s, Z3 %s: %s\n", seconds, version().c_str(),
              proof.problems().empty() ? "passed" : "FAILED");
}

int main_of(int argc, char** argv) {
  CLI::App app{"Proves the protocol for any number of requesters, threads and stripes."};
  Options options;
  std::string json;
  app.add_flag("--quick", options.quick, "neither what each claim rests on, nor the broken steps");
  app.add_option("--scripts", options.scripts, "write each question as SMT-LIB into this folder");
  app.add_option("--argued", options.argued, "breaks that survive for a reason");
  app.add_option("--without", options.without, "leave an invariant out");
  app.add_option("--json", json, "write what came of it into this file");
  CLI11_PARSE(app, argc, argv);
  const auto started = std::chrono::steady_clock::now();
  Proof proof(options);
  const bool passed = proof.run();
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - started;
  print(proof, seconds.count());
  if (!json.empty() && !(std::ofstream(json) << document(proof, seconds.count()).dump(1) << '\n')) {
    std::fprintf(stderr, "cannot be written: %s\n", json.c_str());
    return 2;
  }
  return passed ? 0 : 1;
}

}  // namespace
}  // namespace kstone::proof

int main(int argc, char** argv) { return kstone::proof::main_of(argc, argv); }
