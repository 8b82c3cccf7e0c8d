#include "soundness/batches.h"

#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstring>

#include "soundness/generator.h"

namespace kstone::model::soundness {

namespace {

// `count` programs from the seeds first, first + 1, ...; stops at the first that disagrees.
bool compare_batch(std::uint64_t first, std::uint64_t count, Tally& tally, PlantedFault planted,
                   std::string& complaint) {
  for (std::uint64_t seed = first; seed < first + count; ++seed) {
    std::optional<bool> same;
    for (std::uint64_t attempt = 0; !same; ++attempt) {
      const Program program = draw(seed + (attempt << 40));
      same = compare(program, tally, complaint, planted);
      tally.drawn_again += same ? 0 : 1;
      if (same == false) {
        complaint = "program " + std::to_string(seed + (attempt << 40)) + ": " + program.text() +
                    "  " + complaint;
      }
    }
    ++tally.programs;
    tally.equal += *same ? 1 : 0;
    if (!*same) {
      return false;
    }
  }
  return true;
}

}  // namespace

Child start_batch(std::uint64_t first, std::uint64_t count, PlantedFault planted) {
  int ends[2];
  if (pipe(ends) != 0) {
    return {};
  }
  std::fflush(nullptr);
  const pid_t pid = fork();
  if (pid == 0) {
    close(ends[0]);
    Tally tally;
    std::string complaint;
    compare_batch(first, count, tally, planted, complaint);
    complaint.resize(std::min<std::size_t>(complaint.size(), 6000));
    bool sent = write(ends[1], &tally, sizeof tally) == static_cast<ssize_t>(sizeof tally);
    sent = sent && write(ends[1], complaint.data(), complaint.size()) ==
                       static_cast<ssize_t>(complaint.size());
    _exit(sent ? 0 : 1);
  }
  close(ends[1]);
  return Child{pid, ends[0]};
}

bool finish_batch(const Child& child, Tally& total, std::string& complaint) {
  std::string text;
  char buffer[8192];
  for (ssize_t count = 0; (count = read(child.read_end, buffer, sizeof buffer)) > 0;) {
    text.append(buffer, static_cast<std::size_t>(count));
  }
  close(child.read_end);
  int status = 0;
  waitpid(child.pid, &status, 0);
  if (status != 0 || text.size() < sizeof(Tally)) {
    complaint = "a batch ended without a result";
    return false;
  }
  Tally tally;
  std::memcpy(&tally, text.data(), sizeof tally);
  complaint = text.substr(sizeof tally);
  const auto* const from = reinterpret_cast<const std::uint64_t*>(&tally);
  auto* const to = reinterpret_cast<std::uint64_t*>(&total);
  for (std::size_t i = 0; i < sizeof tally / sizeof(std::uint64_t); ++i) {
    to[i] += from[i];
  }
  return tally.equal == tally.programs;
}

}  // namespace kstone::model::soundness
