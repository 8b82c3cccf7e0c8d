#include "explorer/atomic.h"

#include "explorer/exploration.h"
#include "relacy_headers.h"

namespace kstone::model {
namespace explorer {

static_assert(Object::store_history == rl::atomic_history_size);

void forget_stores(Object& atomic) { rl::ctx().atomic_dtor(atomic.data); }

namespace {

rl::thread_info_base& relacy_thread() { return *rl::ctx().threadx_; }

using LoadFunction = unsigned (rl::thread_info_base::*)(rl::atomic_data*);
using ModifyFunction = unsigned (rl::thread_info_base::*)(rl::atomic_data*, bool&);

LoadFunction load_function(std::memory_order order) {
  switch (order) {
    case std::memory_order_relaxed:
    // A compare-exchange demoted to release: its failing load is relaxed.
    case std::memory_order_release:
      return &rl::thread_info_base::atomic_load_relaxed;
    case std::memory_order_seq_cst:
      return &rl::thread_info_base::atomic_load_seq_cst;
    default:
      return &rl::thread_info_base::atomic_load_acquire;
  }
}

LoadFunction newest_function(std::memory_order order) {
  switch (order) {
    case std::memory_order_relaxed:
    case std::memory_order_release:
      return &rl::thread_info_base::atomic_load_relaxed_rmw;
    case std::memory_order_seq_cst:
      return &rl::thread_info_base::atomic_load_seq_cst_rmw;
    default:
      return &rl::thread_info_base::atomic_load_acquire_rmw;
  }
}

LoadFunction store_function(std::memory_order order) {
  switch (order) {
    case std::memory_order_relaxed:
    case std::memory_order_acquire:
      return &rl::thread_info_base::atomic_store_relaxed;
    case std::memory_order_seq_cst:
      return &rl::thread_info_base::atomic_store_seq_cst;
    default:
      return &rl::thread_info_base::atomic_store_release;
  }
}

ModifyFunction modify_function(std::memory_order order) {
  switch (order) {
    case std::memory_order_relaxed:
      return &rl::thread_info_base::atomic_rmw_relaxed;
    case std::memory_order_release:
      return &rl::thread_info_base::atomic_rmw_release;
    case std::memory_order_acq_rel:
      return &rl::thread_info_base::atomic_rmw_acq_rel;
    case std::memory_order_seq_cst:
      return &rl::thread_info_base::atomic_rmw_seq_cst;
    default:
      return &rl::thread_info_base::atomic_rmw_acquire;
  }
}

// `index`: the place in Relacy's history. The event is the one that is logged next.
void wrote(Object& object, unsigned index, std::uint64_t value) {
  object.newest = index;
  object.stores[index] = value;
  object.writers[index] = exploration().trace.next();
}

void modify(Object& object, std::uint64_t value, std::memory_order order) {
  bool aba = false;
  const unsigned index = (relacy_thread().*modify_function(order))(object.data, aba);
  wrote(object, index, value);
}

std::uint64_t result_of(Operation operation, std::uint64_t before, std::uint64_t operand) {
  switch (operation) {
    case Operation::fetch_add:
      return before + operand;
    case Operation::fetch_sub:
      return before - operand;
    case Operation::fetch_or:
      return before | operand;
    case Operation::fetch_and:
      return before & operand;
    case Operation::fetch_xor:
      return before ^ operand;
    default:
      return operand;
  }
}

void note_look(Thread& thread, ObjectId id, std::memory_order order) {
  thread.looked_at = static_cast<int>(id);
  thread.looked_with = order;
}

// Who looks in the order `relaxed` learns nothing of what else the writer has done, so that one
// look more or less changes nothing.
void note_failed_exchange(Exploration& e, ObjectId id, bool may_retry, std::memory_order order) {
  Thread& thread = e.threads.current_thread();
  const bool relaxed =
      order == std::memory_order_relaxed && thread.looked_with == std::memory_order_relaxed;
  const bool again = may_retry && relaxed && thread.looked_at == static_cast<int>(id);
  if (again || e.limits.planted == PlantedFault::retry_any_failure) {
    thread.failed_at = static_cast<int>(id);
  }
  note_look(thread, id, order);
}

}  // namespace
}  // namespace explorer

namespace runtime {

using namespace explorer;

void atomic_initialize(ObjectId id, std::uint64_t value) {
  Object& object = inside().objects[id];
  object.data = rl::ctx().atomic_ctor(nullptr);
  const unsigned index = relacy_thread().atomic_store_relaxed(object.data);
  object.newest = index;
  object.stores[index] = value;
  object.writers[index] = -2;  // the construction
}

std::uint64_t atomic_load(ObjectId id, const void* address, std::memory_order order, Site site) {
  Exploration& e = inside();
  check_alive(id, address, Operation::load, site);
  e.threads.announce(make_step(Operation::load, id, Access::read), site);
  Object& object = use(id, address, Operation::load, site);
  e.threads.performs(id, Access::read);
  const SiteRecord& record =
      e.sites.record(site, Operation::load, order, std::memory_order_relaxed, object);
  e.surprises.stores_back = 0;
  const unsigned index = (relacy_thread().*load_function(record.effective))(object.data);
  if (index == static_cast<unsigned>(-1)) {
    char text[64];
    fail(Failure::uninitialized, "%s is read before its first store", object_text(id, text));
  }
  Event& event = e.trace.log(Operation::load, id, site);
  event.value = object.stores[index];
  event.order = record.effective;
  event.stale = index != object.newest;
  event.read_from = object.writers[index];
  e.surprises.saw_stale_load = e.surprises.saw_stale_load || event.stale;
  note_look(e.threads.current_thread(), id, record.effective);
  return object.stores[index];
}

void atomic_store(ObjectId id, const void* address, std::uint64_t value, std::memory_order order,
                  Site site) {
  Exploration& e = inside();
  check_alive(id, address, Operation::store, site);
  e.threads.announce(make_step(Operation::store, id, Access::write, true), site);
  Object& object = use(id, address, Operation::store, site);
  e.threads.performs(id, Access::write);
  const SiteRecord& record =
      e.sites.record(site, Operation::store, order, std::memory_order_relaxed, object);
  const unsigned index = (relacy_thread().*store_function(record.effective))(object.data);
  wrote(object, index, value);
  Event& event = e.trace.log(Operation::store, id, site);
  event.value = value;
  event.order = record.effective;
}

std::uint64_t atomic_modify(ObjectId id, const void* address, Operation operation,
                            std::uint64_t operand, unsigned width, std::memory_order order,
                            Site site) {
  Exploration& e = inside();
  check_alive(id, address, operation, site);
  e.threads.announce(make_step(operation, id, Access::write, true), site);
  Object& object = use(id, address, operation, site);
  e.threads.performs(id, Access::write);
  const SiteRecord& record =
      e.sites.record(site, operation, order, std::memory_order_relaxed, object);
  const std::uint64_t before = object.stores[object.newest];
  const int from = object.writers[object.newest];
  std::uint64_t after = result_of(operation, before, operand);
  if (width < 8) {
    after &= (std::uint64_t{1} << (8 * width)) - 1;
  }
  modify(object, after, record.effective);
  Event& event = e.trace.log(operation, id, site);
  event.value = before;
  event.value_after = after;
  event.order = record.effective;
  event.read_from = from;
  return before;
}

bool atomic_compare_exchange(ObjectId id, const void* address, bool weak, std::uint64_t& expected,
                             std::uint64_t desired, std::memory_order success,
                             std::memory_order failure, Site site) {
  Exploration& e = inside();
  const Operation operation =
      weak ? Operation::compare_exchange_weak : Operation::compare_exchange_strong;
  check_alive(id, address, operation, site);
  e.threads.announce(make_step(operation, id, Access::write, true), site);
  Object& object = use(id, address, operation, site);
  const SiteRecord& record = e.sites.record(site, operation, success, failure, object);
  const std::uint64_t current = object.stores[object.newest];
  const int from = object.writers[object.newest];
  bool exchanges = current == expected;
  bool spurious = false;
  if (exchanges && weak && e.surprises.weak_failures > 0 && e.search.choose_data(2) == 1) {
    --e.surprises.weak_failures;
    exchanges = false;
    spurious = true;
  }
  e.threads.performs(id, exchanges ? Access::write : Access::read);
  if (exchanges) {
    modify(object, desired, record.effective);
  } else {
    (relacy_thread().*newest_function(record.effective_failure))(object.data);
  }
  Event& event = e.trace.log(operation, id, site);
  event.value = current;
  event.value_after = exchanges ? desired : current;
  event.order = exchanges ? record.effective : record.effective_failure;
  event.read_from = from;
  event.failed = !exchanges;
  event.spurious = spurious;
  if (!exchanges) {
    note_failed_exchange(e, id, weak && !spurious, record.effective_failure);
  }
  expected = current;
  return exchanges;
}

}  // namespace runtime
}  // namespace kstone::model
