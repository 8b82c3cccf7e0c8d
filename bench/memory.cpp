// kstone_bench_memory: W6, what a stripe and a queued request cost in memory that is asked for with
// `new`. A program of its own, because counting slows down whoever allocates. Its figures are
// exact, so there is one round.

#include <CLI/CLI.hpp>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <latch>
#include <new>
#include <nlohmann/json.hpp>
#include <optional>

#include "latency.h"
#include "peers.h"

namespace {

std::atomic<std::uint64_t> allocations{0};
std::atomic<std::int64_t> bytes_in_use{0};

// The size stands in front of what is given out.
constexpr std::size_t header = 64;

void* allocate(std::size_t size, std::size_t alignment) {
  const auto space = (size + header + header - 1) / header * header;
  if (alignment > header) {
    std::abort();  // nothing here asks for more
  }
  auto* memory = static_cast<std::size_t*>(std::aligned_alloc(header, space));
  if (memory == nullptr) {
    throw std::bad_alloc();
  }
  *memory = size;
  allocations.fetch_add(1, std::memory_order_relaxed);
  bytes_in_use.fetch_add(static_cast<std::int64_t>(size), std::memory_order_relaxed);
  return reinterpret_cast<char*>(memory) + header;
}

void release(void* memory) noexcept {
  if (memory != nullptr) {
    auto* start = reinterpret_cast<std::size_t*>(static_cast<char*>(memory) - header);
    bytes_in_use.fetch_sub(static_cast<std::int64_t>(*start), std::memory_order_relaxed);
    std::free(start);
  }
}

}  // namespace

void* operator new(std::size_t size) { return allocate(size, 1); }
void* operator new(std::size_t size, std::align_val_t alignment) {
  return allocate(size, static_cast<std::size_t>(alignment));
}
void operator delete(void* memory) noexcept { release(memory); }
void operator delete(void* memory, std::size_t) noexcept { release(memory); }
void operator delete(void* memory, std::align_val_t) noexcept { release(memory); }
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept { release(memory); }

namespace kstone::bench {
namespace {

constexpr std::uint32_t few = 256;
constexpr std::uint32_t many = 65'536;

struct Cost {
  double bytes_per_stripe = 0;
  double bytes_per_request = 0;   // queued
  std::uint64_t allocations = 0;  // from the start until `many` jobs have run
};

template <class Peer>
std::int64_t bytes_of(std::uint32_t stripes) {
  const auto before = bytes_in_use.load();
  std::optional<Peer> peer(std::in_place, stripes, 1, [](std::uint32_t) {});
  let_fall_asleep();
  const auto after = bytes_in_use.load();
  peer->stop();
  return after - before;
}

template <class Peer>
Cost cost() {
  Cost cost;
  cost.bytes_per_stripe =
      static_cast<double>(bytes_of<Peer>(many) - bytes_of<Peer>(few)) / (many - few);
  std::latch begun(1);
  std::latch go_on(1);
  std::latch all_done(many);
  Peer peer(many + 1, 1, [&](std::uint32_t stripe) {
    if (stripe == many) {
      begun.count_down();
      go_on.wait();
    } else {
      all_done.count_down();
    }
  });
  let_fall_asleep();
  const auto allocations_before = allocations.load();
  peer.submit(many);
  begun.wait();
  const auto bytes_before = bytes_in_use.load();
  for (std::uint32_t stripe = 0; stripe < many; ++stripe) {
    peer.submit(stripe);
  }
  cost.bytes_per_request = static_cast<double>(bytes_in_use.load() - bytes_before) / many;
  go_on.count_down();
  all_done.wait();
  cost.allocations = allocations.load() - allocations_before;
  peer.stop();
  return cost;
}

class Report {
 public:
  // `counts_stripes`: for some the table of stripes is the benchmark's, which hands them a pointer.
  template <class Peer>
  void add(bool counts_stripes = true) {
    const auto measured = cost<Peer>();
    if (counts_stripes) {
      add(stripe_, Peer::name, Peer::lacks, measured.bytes_per_stripe);
    }
    add(request_, Peer::name, Peer::lacks, measured.bytes_per_request);
    add(allocations_, Peer::name, Peer::lacks, static_cast<double>(measured.allocations));
  }
  nlohmann::ordered_json json() const {
    return {{"rounds", 1}, {"workloads", {stripe_, request_, allocations_}}};
  }

 private:
  static nlohmann::ordered_json workload(const char* name, const char* title, const char* unit) {
    return {{"name", name},
            {"title", title},
            {"unit", unit},
            {"subjects", nlohmann::ordered_json::array()}};
  }
  static void add(nlohmann::ordered_json& workload, const char* name, const char* lacks,
                  double figure) {
    workload["subjects"].push_back({{"name", name}, {"lacks", lacks}, {"figures", {figure}}});
  }

  nlohmann::ordered_json stripe_ =
      workload("W6/stripe", "memory asked for with new for each stripe, 65,536 stripes", "bytes");
  nlohmann::ordered_json request_ = workload(
      "W6/request", "memory asked for with new for each queued request, 65,536 queued", "bytes");
  nlohmann::ordered_json allocations_ = workload(
      "W6/allocations", "calls of new from the start until 65,536 jobs have run", "allocations");
};

}  // namespace

int run(int argc, char** argv) {
  std::string output;
  CLI::App app("Measures what stripes and requests cost in memory.");
  app.add_option("--json", output, "Where to write the figures")->required();
  CLI11_PARSE(app, argc, argv);
  Report report;
  report.add<Kstone>();
  report.add<MutexAndSet>();
  report.add<Origin>();
  report.add<RocksDbEnv>(false);
  report.add<LevelDbEnv>(false);
  report.add<BoostAsio>();
  // Not oneTBB, which has an allocator of its own, nor moodycamel, which uses malloc.
  std::ofstream out(output);
  out << report.json().dump(1) << '\n';
  out.close();
  if (!out) {
    std::fprintf(stderr, "--json %s: cannot be written\n", output.c_str());
    return 1;
  }
  return 0;
}

}  // namespace kstone::bench

int main(int argc, char** argv) { return kstone::bench::run(argc, argv); }
