// Threads that the scenario, or the worker in it, starts and joins.

#include "explorer/exploration.h"

namespace kstone::model::runtime {

using namespace explorer;

int thread_start(ObjectId id, const void* address, void (*entry)(void*), void* argument,
                 Site site) {
  Exploration& e = inside();
  check_alive(id, address, Operation::start_thread, site);
  const ObjectId table = e.objects.thread_table();
  e.threads.announce(make_step(Operation::start_thread, table, Access::write), site);
  e.threads.performs(table, Access::write);
  if (e.surprises.refused_threads > 0 && e.search.choose_data(2) == 1) {
    --e.surprises.refused_threads;
    e.trace.log(Operation::start_thread, id, site).failed = true;
    return -1;
  }
  const int index = e.threads.next_dynamic();
  if (index < 0) {
    fail(Failure::thread_misuse, "more threads are started than the scenario declares (%d)",
         e.scenario.dynamic_threads);
  }
  Thread& thread = e.threads[index];
  thread.entry = entry;
  thread.argument = argument;
  thread.started = true;
  e.threads.takes_turn(index);
  explorer::join(thread.created);
  e.trace.log(Operation::start_thread, id, site).value = static_cast<std::uint64_t>(index);
  e.threads.settle();
  e.search.order_after(index, e.threads.current());
  return index;
}

void thread_join(ObjectId id, const void* address, int target, Site site) {
  Exploration& e = inside();
  check_alive(id, address, Operation::join, site);
  if (target == e.threads.current()) {
    fail_at(site, Failure::thread_misuse, "a thread joins itself (%s:%d)", base_name(site.file),
            site.line);
  }
  Step step;
  step.operation = Operation::join;
  step.object = id;
  step.target = target;
  e.threads.announce(step, site);
  use(id, address, Operation::join, site);
  acquire(e.threads[target].ended);
  e.search.order_after(e.threads.current(), target);
  e.trace.log(Operation::join, id, site).value = static_cast<std::uint64_t>(target);
}

int thread_current() { return inside().threads.current(); }

}  // namespace kstone::model::runtime
