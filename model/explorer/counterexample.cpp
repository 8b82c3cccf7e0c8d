#include "explorer/counterexample.h"

#include <algorithm>
#include <map>
#include <vector>

#include "explorer/exploration.h"
#include "places.h"

namespace kstone::model::explorer {

namespace {

// The calls that were recorded, as lines.
class Located {
 public:
  explicit Located(const std::vector<Calls>& calls) : lines_(calls.size()) {
    std::map<void*, std::size_t> numbers;
    std::vector<void*> addresses;
    for (const Calls& each : calls) {
      for (int i = 0; i < each.count; ++i) {
        if (numbers.emplace(each.addresses[i], addresses.size()).second) {
          addresses.push_back(each.addresses[i]);
        }
      }
    }
    const std::vector<std::vector<Place>> places = places_of(addresses);
    for (std::size_t i = 0; i < calls.size(); ++i) {
      for (int j = 0; j < calls[i].count; ++j) {
        const std::vector<Place>& here = places[numbers[calls[i].addresses[j]]];
        lines_[i].insert(lines_[i].end(), here.begin(), here.end());
      }
    }
  }
  const std::vector<Place>& calls(int which) const {
    static const std::vector<Place> none;
    return which < 0 ? none : lines_[static_cast<std::size_t>(which)];
  }

 private:
  std::vector<std::vector<Place>> lines_;
};

// Where calls are inlined and the lines of them are not kept, a function of the explorer's may
// stand there.
std::string function_text(const Place& own) {
  const std::string name = short_name(own.function);
  return own.function.find("scenario_table<") == std::string::npos
             ? name.substr(name.rfind(':') + 1)
             : "";
}

std::string place_text(Site site, const Place* own) {
  if (own != nullptr && (site.line == 0 || is_worker(site.file))) {
    const std::string function = function_text(*own);
    return file_name(own->file) + ":" + std::to_string(own->line) + (function.empty() ? "" : " ") +
           function;
  }
  return site.line == 0 ? ""
                        : std::string(base_name(site.file)) + ":" + std::to_string(site.line) +
                              " " + site.function;
}

std::string object_name(ObjectId id) {
  char name[64];
  return object_text(id, name);
}

// What a thread waits for.
std::string waiting_text(const Thread& thread) {
  const Exploration& e = exploration();
  const Step& step = thread.pending;
  switch (step.operation) {
    case Operation::lock: {
      const int owner = e.objects[step.object].owner;
      return (thread.notified ? "was woken, waits to lock " : "waits to lock ") +
             object_name(step.object) +
             (owner < 0 ? "" : std::string(", which ") + e.threads.name(owner).text + " holds");
    }
    case Operation::leave_wait:
      return "sleeps on " + object_name(step.object);
    case Operation::take:
      return "waits for a token of " + object_name(step.object);
    case Operation::join:
      return std::string("waits for the end of ") + e.threads.name(step.target).text;
    default:
      return std::string("is before: ") + operation_name(step.operation);
  }
}

// What it keeps from others.
std::string held_text(int index) {
  const Objects& objects = exploration().objects;
  std::string held;
  for (ObjectId id = 0; id < objects.count(); ++id) {
    const Object& mutex = objects[id];
    if (mutex.kind == ObjectKind::mutex && mutex.alive && mutex.owner == index) {
      held += (held.empty() ? "" : ", ") + object_name(id) + " (since " +
              place_text(mutex.locked_at, nullptr) + ")";
    }
  }
  return held.empty() ? "; holds no mutex" : "; holds " + held;
}

// Where a thread that cannot step stands.
std::string standing_text(int index, const Located& located) {
  const Thread& thread = exploration().threads[index];
  if (thread.pending.operation == Operation::join_application) {
    return "waits for the application threads to end";
  }
  const std::string place =
      place_text(thread.pending_at, own_place(located.calls(thread.pending_calls)));
  const std::string step = place_text(thread.pending_at, nullptr);
  std::string text = waiting_text(thread);
  text += place.empty() ? "" : ", at " + place;
  text += !is_worker(thread.pending_at.file) ? ""
          : place == step                    ? ", inside the worker"
                                             : " (inside the worker: " + step + ")";
  return text + held_text(index);
}

// What failed has no line of its own, as a destructor: the line that led there.
void name_place(Result& result, const Place& own) {
  std::string& message = result.message;
  std::size_t at = message.find('(');
  if (at != std::string::npos && message.compare(at, 4, "(:0)") == 0) {
    at += 1;
  } else if (at = message.find(" at :0 "); at != std::string::npos) {
    at += 4;
  } else {
    return;
  }
  message.replace(at, 2, file_name(own.file) + ":" + std::to_string(own.line));
  result.file = own.file;
  result.line = own.line;
}

// The threads that the event wakes, starts or joins, as a set.
ThreadSet others_of(const Event& event) {
  switch (event.operation) {
    case Operation::notify_one:
    case Operation::notify_all:
      return static_cast<ThreadSet>(event.value);
    case Operation::start_thread:
      return event.failed ? 0 : only(static_cast<int>(event.value));
    case Operation::join:
      return only(static_cast<int>(event.value));
    default:
      return 0;
  }
}

void put_place(HistoryStep& step, const Event& event, const std::vector<Place>& calls) {
  step.file = event.site.file;
  step.line = event.site.line;
  step.function = event.site.function;
  const Place* const own = own_place(calls);
  if (own == nullptr) {
    return;
  }
  step.own_file = own->file;
  step.own_line = own->line;
  for (const Place* call = calls.data(); call != own; ++call) {
    if (is_worker(call->file) && !call->function.empty()) {
      const std::string name = short_name(call->function);
      step.call = name.substr(name.rfind(':') + 1);
    }
  }
  if (step.line == 0) {
    step.file = own->file;
    step.line = own->line;
    step.function = function_text(*own);
  }
}

// The columns of a counter-example: the threads that there were.
class Columns {
 public:
  explicit Columns(const Threads& threads) {
    for (int i = 0; i < threads.count(); ++i) {
      const bool was_there = i <= threads.application() || threads[i].started;
      columns_[i] = was_there ? static_cast<int>(names_.size()) : -1;
      if (was_there) {
        names_.emplace_back(threads.name(i).text);
      }
    }
  }
  const std::vector<std::string>& names() const { return names_; }
  int of(int thread) const { return columns_[thread]; }

 private:
  int columns_[max_threads];
  std::vector<std::string> names_;
};

HistoryStep step_of(const Event& event, const Columns& columns) {
  HistoryStep step;
  step.thread = columns.of(event.thread);
  step.operation = event.operation;
  char name[64];
  report_object_name(event.kind, event.object_name, event.object, name, sizeof name);
  step.object = name;
  const bool is_atomic = event.kind == ObjectKind::atomic && event.operation != Operation::destroy;
  step.order = is_atomic ? report_order_name(event.order) : "";
  const ThreadSet others = others_of(event);
  for (int i = 0; i < max_threads; ++i) {
    if ((others & only(i)) != 0) {
      step.others.push_back(columns.of(i));
    }
  }
  if (others == 0) {
    step.value = event.value;
    step.value_after = event.value_after;
  }
  step.reads_from = std::max(event.read_from, -1);
  step.stale = event.stale;
  step.failed = event.failed;
  step.spurious = event.spurious;
  step.after_wait = event.after_wait;
  return step;
}

}  // namespace

void tell(Result& result) {
  const Exploration& e = exploration();
  const Located located(std::vector<Calls>(e.trace.calls().begin(), e.trace.calls().end()));
  result.file = e.ending.at.file;
  result.line = e.ending.at.line;
  if (const Place* const own = own_place(located.calls(e.trace.failed_calls())); own != nullptr) {
    name_place(result, *own);
  }
  const Columns columns(e.threads);
  result.threads = columns.names();
  for (const Event& event : e.trace.events()) {
    result.steps.push_back(step_of(event, columns));
    put_place(result.steps.back(), event, located.calls(event.calls));
  }
  if (result.failure == Failure::deadlock || result.failure == Failure::blocked) {
    for (int i = 0; i < e.threads.count(); ++i) {
      if (e.threads.is_alive(i) && columns.of(i) >= 0) {
        result.standing.push_back(Standing{columns.of(i), standing_text(i, located)});
      }
    }
  }
}

std::string standstill_message() {
  const Exploration& e = exploration();
  return std::string(e.threads.name(e.threads.current()).text) + " " +
         standstill_text(e.ending.standstill, e.limits.step_seconds,
                         Located({e.ending.standstill_at}).calls(0));
}

}  // namespace kstone::model::explorer
