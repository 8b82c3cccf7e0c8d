#include "explorer/objects.h"

#include "explorer/atomic.h"
#include "explorer/exploration.h"

namespace kstone::model {
namespace explorer {

void Objects::begin_execution() {
  count_ = 0;
  thread_table_ = add(ObjectKind::ghost, nullptr, "thread table");
  wake_up_limit_ = add(ObjectKind::limit, nullptr, "wake-up limit");
  clock_ = add(ObjectKind::clock, nullptr, "clock");
}

ObjectId Objects::add(ObjectKind kind, const void* address, const char* name) {
  if (count_ == max_objects) {
    fail(Failure::model_error, "more than %d objects in one execution", max_objects);
  }
  Object& object = objects_[count_];
  object = Object{};
  object.kind = kind;
  object.alive = true;
  object.address = address;
  object.name = name;
  object.owner = -1;
  return count_++;
}

const char* object_text(ObjectId id, char (&buffer)[64]) {
  const Object& object = exploration().objects[id];
  report_object_name(object.kind, object.name, id, buffer, sizeof buffer);
  return buffer;
}

void check_alive(ObjectId id, const void* address, Operation operation, Site site) {
  const Objects& objects = exploration().objects;
  if (!objects.is_alive(id, address)) {
    char name[64] = "an object";
    fail_at(site, Failure::use_after_free, "%s at %s:%d after the destruction of %s",
            operation_name(operation), base_name(site.file), site.line,
            objects.was_at(id, address) ? object_text(id, name) : name);
  }
}

namespace {

void note_access(Object& object, bool write, Operation operation, Site site) {
  const int index = note(write ? object.writes : object.reads);
  (write ? object.write_at : object.read_at)[index] = site;
  (write ? object.write_by : object.read_by)[index] = operation;
}

[[noreturn]] void fail_race(ObjectId id, Operation operation, Site site, int other,
                            bool other_wrote) {
  const Exploration& e = exploration();
  const Object& object = e.objects[id];
  char name[64];
  const Site there = other_wrote ? object.write_at[other] : object.read_at[other];
  const Operation by = other_wrote ? object.write_by[other] : object.read_by[other];
  const bool lifetime =
      object.kind != ObjectKind::cell || operation == Operation::destroy || by == Operation::none;
  fail_at(site, lifetime ? Failure::use_after_free : Failure::data_race,
          "%s: %s by %s (%s:%d) is not ordered with %s by %s (%s:%d)", object_text(id, name),
          operation_name(operation), e.threads.name(e.threads.current()).text, base_name(site.file),
          site.line, by == Operation::none ? "construction" : operation_name(by),
          e.threads.name(other).text, base_name(there.file), there.line);
}

}  // namespace

Object& use(ObjectId id, const void* address, Operation operation, Site site) {
  check_alive(id, address, operation, site);
  Object& object = exploration().objects[id];
  if (const int other = unordered(object.writes); other >= 0) {
    fail_race(id, operation, site, other, true);
  }
  const bool write = object.kind == ObjectKind::cell && operation == Operation::cell_write;
  if (write) {
    if (const int other = unordered(object.reads); other >= 0) {
      fail_race(id, operation, site, other, false);
    }
  }
  note_access(object, write, operation, site);
  return object;
}

}  // namespace explorer

namespace runtime {

using namespace explorer;

ObjectId create(ObjectKind kind, const void* address) {
  Objects& objects = inside().objects;
  const ObjectId id = objects.add(kind, address, nullptr);
  note_access(objects[id], true, Operation::none, Site{});
  return id;
}

void destroy(ObjectId id, const void* address) {
  const Exploration& e = inside();
  const Site site{"", 0, ""};
  Object& object = use(id, address, Operation::destroy, site);
  if (const int other = unordered(object.reads); other >= 0) {
    fail_race(id, Operation::destroy, site, other, false);
  }
  char name[64];
  if (object.kind == ObjectKind::mutex && object.owner >= 0) {
    fail(Failure::lock_misuse, "%s is destroyed while %s holds it", object_text(id, name),
         e.threads.name(object.owner).text);
  }
  if (object.kind == ObjectKind::condition_variable && object.waiters != 0) {
    fail(Failure::use_after_free, "%s is destroyed while a thread sleeps on it",
         object_text(id, name));
  }
  if (object.data != nullptr) {
    forget_stores(object);
  }
  object.alive = false;
}

void name(ObjectId id, const char* text) { inside().objects[id].name = text; }

}  // namespace runtime
}  // namespace kstone::model
