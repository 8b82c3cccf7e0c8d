// What is measured, as benchmarks of Google Benchmark that are named `workload/subject`, and the
// order in which they run.
//
// A workload is run in rounds. In each round every subject runs once, starting with another one
// each time, so that what disturbs the machine disturbs all of them; the ratio of two subjects is
// taken within a round.
//
// Thread safety: none; one thread registers and runs.

#ifndef KSTONE_BENCH_WORKLOADS_H_
#define KSTONE_BENCH_WORKLOADS_H_

#include <benchmark/benchmark.h>

#include <functional>
#include <string>
#include <vector>

namespace kstone::bench {

struct Subject {
  std::string name;
  std::string lacks;  // what the worker does and this does not
};

struct Workload {
  std::string name;   // "W3/1+1"
  std::string title;  // a sentence
  std::string unit;   // of the figure
  std::vector<Subject> subjects;
};

// All that were added, in that order.
std::vector<Workload>& workloads();

// Starts a workload; what is added from here on belongs to it.
void add_workload(std::string name, std::string title, std::string unit);

// A benchmark of the workload that was added last. The caller fixes its iterations, so that every
// round does the same.
benchmark::internal::Benchmark* add_subject(const std::string& name, const std::string& lacks,
                                            const std::function<void(benchmark::State&)>& body);

template <class Peer>
benchmark::internal::Benchmark* add_peer(const std::function<void(benchmark::State&)>& body) {
  return add_subject(Peer::name, Peer::lacks, body);
}

void add_requests();    // W1, W2
void add_end_to_end();  // W3
void add_wake_up();     // W4
void add_shutdown();    // W5
void add_scale();       // W7
void add_suspended();   // W8
void add_observed();    // W11

}  // namespace kstone::bench

#endif  // KSTONE_BENCH_WORKLOADS_H_
