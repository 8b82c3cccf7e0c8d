#include "explorer/call_sites.h"

#include <algorithm>
#include <bit>
#include <cstdio>
#include <cstring>
#include <iterator>
#include <optional>

#include "explorer/failures.h"
#include "report/names.h"

namespace kstone::model::explorer {

namespace {

std::optional<std::memory_order> parse_order(const std::string& text) {
  for (const std::memory_order order :
       {std::memory_order_relaxed, std::memory_order_acquire, std::memory_order_release,
        std::memory_order_acq_rel, std::memory_order_seq_cst}) {
    if (text == report_order_name(order)) {
      return order;
    }
  }
  return std::nullopt;
}

std::size_t hash(Site site, Operation operation, std::memory_order order,
                 std::memory_order failure_order) {
  return reinterpret_cast<std::uintptr_t>(site.file) * 31 +
         static_cast<std::size_t>(site.line) * 131 + static_cast<std::size_t>(operation) * 7 +
         static_cast<std::size_t>(order) * 3 + static_cast<std::size_t>(failure_order);
}

}  // namespace

bool CallSites::are_known(const std::vector<Demotion>& demotions) {
  return demotions.size() <= most_demotions &&
         std::all_of(demotions.begin(), demotions.end(), [](const Demotion& demotion) {
           return parse_order(demotion.order).has_value();
         });
}

CallSites::CallSites(const std::vector<Demotion>& demotions) : demotions_(demotions) {
  std::fill(std::begin(table_), std::end(table_), -1);
}

const SiteRecord& CallSites::record(Site site, Operation operation, std::memory_order order,
                                    std::memory_order failure_order, const Object& object) {
  for (std::size_t i = hash(site, operation, order, failure_order) % slots;; i = (i + 1) % slots) {
    if (table_[i] < 0) {
      if (records_.size() > most_records) {
        fail(Failure::model_error, "more than %zu call sites", most_records);
      }
      table_[i] = static_cast<int>(records_.size());
      records_.push_back(make(site, operation, order, failure_order, object));
      return records_.back();
    }
    SiteRecord& record = records_[static_cast<std::size_t>(table_[i])];
    if (record.site.file == site.file && record.site.line == site.line &&
        record.operation == operation && record.order == order &&
        record.failure_order == failure_order) {
      ++record.executed;
      return record;
    }
  }
}

SiteRecord CallSites::make(Site site, Operation operation, std::memory_order order,
                           std::memory_order failure_order, const Object& object) {
  SiteRecord record{};
  record.site = site;
  record.operation = operation;
  record.order = record.effective = order;
  record.failure_order = record.effective_failure = failure_order;
  record.object_name = object.name;
  record.executed = 1;
  give_name(record);
  demote(record);
  return record;
}

// "file:line:operation", with "#2" for another one in the same line with other orders.
void CallSites::give_name(SiteRecord& record) const {
  std::snprintf(record.name, sizeof record.name, "%s:%d:%s", base_name(record.site.file),
                record.site.line, operation_name(record.operation));
  const std::size_t length = std::strlen(record.name);
  int same = 1;
  for (const SiteRecord& other : records_) {
    const bool is_same_line = std::strncmp(other.name, record.name, length) == 0 &&
                              (other.name[length] == '\0' || other.name[length] == '#');
    if (is_same_line &&
        !(other.order == record.order && other.failure_order == record.failure_order)) {
      ++same;
    }
  }
  if (same > 1) {
    std::snprintf(record.name + length, sizeof record.name - length, "#%d", same);
  }
}

void CallSites::demote(SiteRecord& record) {
  for (std::size_t i = 0; i < demotions_.size(); ++i) {
    const Demotion& demotion = demotions_[i];
    if (demotion.site == record.name) {
      used_ |= std::uint64_t{1} << i;
      (demotion.failure_order ? record.effective_failure : record.effective) =
          *parse_order(demotion.order);
    }
  }
}

bool CallSites::all_demotions_used() const {
  return std::popcount(used_) == static_cast<int>(demotions_.size());
}

std::vector<CallSite> CallSites::list() const {
  std::vector<CallSite> sites;
  for (const SiteRecord& record : records_) {
    const bool exchange = record.operation == Operation::compare_exchange_weak ||
                          record.operation == Operation::compare_exchange_strong;
    sites.push_back(CallSite{record.name, report_order_name(record.order),
                             exchange ? report_order_name(record.failure_order) : "",
                             record.object_name == nullptr ? "" : record.object_name,
                             record.executed});
  }
  return sites;
}

}  // namespace kstone::model::explorer
