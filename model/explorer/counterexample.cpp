#include "explorer/counterexample.h"

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
void name_place(std::string& message, const Place& own) {
  const std::string place = file_name(own.file) + ":" + std::to_string(own.line);
  const std::size_t first = message.find('(');
  if (first != std::string::npos && message.compare(first, 4, "(:0)") == 0) {
    message.replace(first + 1, 2, place);
  } else if (const std::size_t at = message.find(" at :0 "); at != std::string::npos) {
    message.replace(at + 4, 2, place);
  }
}

}  // namespace

void tell(Result& result) {
  Exploration& e = exploration();
  const Located located(std::vector<Calls>(e.trace.calls().begin(), e.trace.calls().end()));
  MallocVector<ReportEvent>& events = e.trace.events();
  std::vector<std::string> files;  // names that the sites point to
  files.reserve(2 * events.size());
  for (ReportEvent& event : events) {
    if (const Place* const own = own_place(located.calls(event.calls));
        own != nullptr && event.site.line == 0) {
      files.push_back(own->file);
      const std::string& file = files.back();
      files.push_back(function_text(*own));
      event.site = Site{file.c_str(), own->line, files.back().c_str()};
    }
  }
  if (const Place* const own = own_place(located.calls(e.trace.failed_calls())); own != nullptr) {
    name_place(result.message, *own);
  }
  std::vector<int> columns(static_cast<std::size_t>(e.threads.count()), -1);
  for (int i = 0; i < e.threads.count(); ++i) {
    if (i <= e.threads.application() || e.threads[i].started) {
      columns[static_cast<std::size_t>(i)] = static_cast<int>(result.threads.size());
      result.threads.emplace_back(e.threads.name(i).text);
    }
  }
  result.steps = report_steps(events.data(), events.size(), e.threads.application(),
                              [&located](const ReportEvent& event) -> const std::vector<Place>& {
                                return located.calls(event.calls);
                              });
  for (HistoryStep& step : result.steps) {
    step.thread = columns[static_cast<std::size_t>(step.thread)];
  }
  if (result.failure == Failure::deadlock || result.failure == Failure::blocked) {
    for (int i = 0; i < e.threads.count(); ++i) {
      if (e.threads.is_alive(i) && columns[static_cast<std::size_t>(i)] >= 0) {
        result.standing.push_back(e.threads.name(i).text + (" " + standing_text(i, located)));
      }
    }
  }
  result.history = report_history(events.data(), events.size(), e.threads.count(),
                                  e.threads.application(), result);
}

std::string standstill_message() {
  const Exploration& e = exploration();
  return std::string(e.threads.name(e.threads.current()).text) + " " +
         standstill_text(e.ending.standstill, e.limits.step_seconds,
                         Located({e.ending.standstill_at}).calls(0));
}

}  // namespace kstone::model::explorer
