#include "explorer/happens_before.h"

#include "explorer/exploration.h"
#include "relacy_headers.h"

namespace kstone::model {
namespace explorer {

namespace {

rl::thread_info_base& relacy_thread() { return *rl::ctx().threadx_; }

}  // namespace

void join(Timestamps& into) {
  rl::thread_info_base& thread = relacy_thread();
  thread.own_acq_rel_order_ += 1;
  for (int i = 0; i < exploration().threads.of_relacy(); ++i) {
    into.of[i] = std::max<std::uint64_t>(into.of[i], thread.acq_rel_order_[i]);
  }
}

void acquire(const Timestamps& from) {
  rl::thread_info_base& thread = relacy_thread();
  thread.own_acq_rel_order_ += 1;
  for (int i = 0; i < exploration().threads.of_relacy(); ++i) {
    thread.acq_rel_order_[i] = std::max<rl::timestamp_t>(thread.acq_rel_order_[i], from.of[i]);
  }
}

int unordered(const Timestamps& accesses) {
  const rl::thread_info_base& thread = relacy_thread();
  for (int i = 0; i < exploration().threads.of_relacy(); ++i) {
    if (thread.acq_rel_order_[i] < accesses.of[i]) {
      return i;
    }
  }
  return -1;
}

int note(Timestamps& accesses) {
  rl::thread_info_base& thread = relacy_thread();
  thread.own_acq_rel_order_ += 1;
  accesses.of[thread.index_] = thread.own_acq_rel_order_;
  return static_cast<int>(thread.index_);
}

}  // namespace explorer

namespace runtime {

int happens_before(std::uint64_t* clock, int threads) {
  const explorer::Exploration& e = explorer::inside();
  rl::thread_info_base& thread = explorer::relacy_thread();
  thread.own_acq_rel_order_ += 1;
  for (int i = 0; i < threads; ++i) {
    clock[i] = i < e.threads.of_relacy() ? thread.acq_rel_order_[i] : 0;
  }
  return static_cast<int>(thread.index_);
}

}  // namespace runtime
}  // namespace kstone::model
