// kstone_bench: runs the workloads in rounds and writes every single figure as JSON.
// `scripts/bench` makes the ratios of them.

#include <CLI/CLI.hpp>
#include <fstream>
#include <iostream>
#include <map>
#include <nlohmann/json.hpp>
#include <regex>

#include "workloads.h"

namespace kstone::bench {
namespace {

// Keeps what was measured; prints nothing.
class Collector : public benchmark::BenchmarkReporter {
 public:
  bool ReportContext(const Context&) override { return true; }
  void ReportRuns(const std::vector<Run>& runs) override {
    for (const auto& run : runs) {
      time = run.GetAdjustedRealTime();
      counters.clear();
      for (const auto& [name, counter] : run.counters) {
        counters[name] = counter.value;
      }
      error = run.error_occurred ? run.error_message : "";
    }
  }

  double time = 0;
  std::map<std::string, double> counters;
  std::string error;
};

std::string full_name(const Workload& workload, const Subject& subject) {
  return workload.name + "/" + subject.name;
}

// One benchmark, by its exact name: a prefix of what Google Benchmark makes of it, which adds the
// iterations.
void run_one(const std::string& name, Collector& collector) {
  static const std::regex special(R"([.^$|()\[\]{}*+?\\])");
  benchmark::RunSpecifiedBenchmarks(
      &collector, "^" + std::regex_replace(name, special, R"(\$&)") + "/iterations");
}

}  // namespace

std::vector<Workload>& workloads() {
  static std::vector<Workload> all;
  return all;
}

void add_workload(std::string name, std::string title, std::string unit) {
  workloads().push_back({std::move(name), std::move(title), std::move(unit), {}});
}

benchmark::internal::Benchmark* add_subject(const std::string& name, const std::string& lacks,
                                            const std::function<void(benchmark::State&)>& body) {
  workloads().back().subjects.push_back({name, lacks});
  return benchmark::RegisterBenchmark(
      full_name(workloads().back(), workloads().back().subjects.back()).c_str(), body);
}

int run(int argc, char** argv) {
  unsigned rounds = 21;
  std::string only = ".*";
  std::string output;
  CLI::App app("Measures the worker beside its peers and the machine's floors.");
  app.add_option("--rounds", rounds, "Rounds of each workload")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  app.add_option("--only", only, "Workloads, as a regular expression")->capture_default_str();
  app.add_option("--json", output, "Where to write the figures")->required();
  CLI11_PARSE(app, argc, argv);

  add_requests();
  add_end_to_end();
  add_wake_up();
  add_shutdown();
  add_scale();
  add_suspended();
  add_observed();
  std::regex wanted;
  try {
    wanted.assign(only);
  } catch (const std::regex_error& error) {
    std::cerr << "--only " << only << ": is no regular expression: " << error.what() << '\n';
    return 1;
  }
  nlohmann::ordered_json all = nlohmann::ordered_json::array();
  for (const auto& workload : workloads()) {
    if (!std::regex_search(workload.name, wanted)) {
      continue;
    }
    nlohmann::ordered_json entry{
        {"name", workload.name}, {"title", workload.title}, {"unit", workload.unit}};
    auto& subjects = entry["subjects"] = nlohmann::ordered_json::array();
    for (const auto& subject : workload.subjects) {
      subjects.push_back(
          {{"name", subject.name}, {"lacks", subject.lacks}, {"figures", nlohmann::json::array()}});
    }
    std::cerr << workload.name << std::flush;
    for (unsigned round = 0; round < rounds; ++round) {
      for (std::size_t i = 0; i < subjects.size(); ++i) {
        const auto index = (i + round) % subjects.size();
        Collector collector;
        run_one(full_name(workload, workload.subjects[index]), collector);
        if (!collector.error.empty()) {
          std::cerr << "\n"
                    << full_name(workload, workload.subjects[index]) << ": " << collector.error
                    << "\n";
          return 1;
        }
        subjects[index]["figures"].push_back(collector.time);
        for (const auto& [name, value] : collector.counters) {
          subjects[index]["counters"][name].push_back(value);
        }
      }
      std::cerr << '.' << std::flush;
    }
    std::cerr << '\n';
    all.push_back(std::move(entry));
  }
  std::ofstream out(output);
  out << nlohmann::ordered_json{{"rounds", rounds}, {"workloads", all}}.dump(1) << '\n';
  out.close();
  if (!out) {
    std::cerr << "--json " << output << ": cannot be written\n";
    return 1;
  }
  return 0;
}

}  // namespace kstone::bench

int main(int argc, char** argv) { return kstone::bench::run(argc, argv); }
