// The snapshot and the report as JSON, for programs that have the library of Niels Lohmann
// (nlohmann/json): `nlohmann::json(worker.snapshot()).dump()`. Nothing else of kstone needs it.
//
// The names are those of the members; durations are whole nanoseconds, with "_ns" behind the name,
// but for the sum of a histogram, in whole microseconds ("sum_us"). Of a histogram the buckets that
// are not empty are listed, each with its bound; the last one has none, but null. Bytes of a text
// that are no UTF-8 become U+FFFD. Members may be added by later versions; none changes its
// meaning.
//
// Thread safety: as `nlohmann::json`. `Json` is that, or another `nlohmann::basic_json`.

#ifndef KSTONE_JSON_H_
#define KSTONE_JSON_H_

#include "kstone/cxx20.h"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "kstone/compaction_stats.h"
#include "kstone/compaction_types.h"
#include "kstone/duration_histogram.h"
#include "kstone/worker_snapshot.h"

namespace kstone {
namespace detail {

template <class Json>
Json valid_text(const std::string& text) {
  return Json::parse(Json(text).dump(-1, ' ', false, Json::error_handler_t::replace));
}

template <class Json>
Json ids_of(const std::vector<CompactionRequest>& stripes) {
  auto result = Json::array();
  for (const auto& each : stripes) {
    result.push_back(each.stripe_id);
  }
  return result;
}

}  // namespace detail

template <class Json>
void to_json(Json& json, const CompactionStats& stats) {
  json = {{"total_compactions", stats.total_compactions},
          {"total_ssts_merged", stats.total_ssts_merged},
          {"total_ssts_created", stats.total_ssts_created},
          {"total_bytes_read", stats.total_bytes_read},
          {"total_bytes_written", stats.total_bytes_written},
          {"total_bytes_reclaimed", stats.total_bytes_reclaimed},
          {"total_records_deduplicated", stats.total_records_deduplicated},
          {"total_tombstones_removed", stats.total_tombstones_removed},
          {"active_compactions", stats.active_compactions}};
}

template <class Json>
void to_json(Json& json, const DurationHistogram& histogram) {
  auto buckets = Json::array();
  for (std::size_t i = 0; i < DurationHistogram::bucket_count; ++i) {
    if (histogram.bucket(i) != 0) {
      buckets.push_back(
          {{"up_to_ns", DurationHistogram::bound(i).count()}, {"count", histogram.bucket(i)}});
      if (i + 1 == DurationHistogram::bucket_count) {
        buckets.back()["up_to_ns"] = nullptr;
      }
    }
  }
  json = {{"count", histogram.count()},
          {"sum_us", histogram.sum().count()},
          {"max_ns", histogram.max().count()},
          {"buckets", buckets}};
}

template <class Json>
void to_json(Json& json, const RunningCompaction& running) {
  json = {{"stripe_id", running.stripe_id},
          {"thread", running.thread},
          {"attempt", running.attempt},
          {"running_for_ns", running.running_for.count()}};
}

template <class Json>
void to_json(Json& json, const WorkerSnapshot& snapshot) {
  json = {{"stats", snapshot.stats},
          {"episodes_alive", snapshot.episodes_alive},
          {"pending", snapshot.pending},
          {"queue_size", snapshot.queue_size},
          {"held", snapshot.held},
          {"delayed", snapshot.delayed},
          {"quarantined", snapshot.quarantined},
          {"removed", snapshot.removed},
          {"in_high_lane", snapshot.in_high_lane},
          {"in_low_lane", snapshot.in_low_lane},
          {"running", snapshot.running},
          {"running_max", snapshot.running_max},
          {"overdue", snapshot.overdue},
          {"worker_threads", snapshot.worker_threads},
          {"max_concurrent", snapshot.max_concurrent},
          {"parked_threads", snapshot.parked_threads},
          {"check_interval_ns", std::chrono::nanoseconds(snapshot.check_interval).count()},
          {"waiting_callers", snapshot.waiting_callers},
          {"first_error", detail::valid_text<Json>(snapshot.first_error)},
          {"compactions", snapshot.compactions},
          {"oldest_waiting_ns", snapshot.oldest_waiting.count()},
          {"waited", snapshot.waited},
          {"ran", snapshot.ran}};
  snapshot.for_each(
      [&json](std::string_view name, std::uint64_t value) { json[std::string(name)] = value; });
}

template <class Json>
void to_json(Json& json, const StripeError& error) {
  json = {{"stripe_id", error.stripe_id}, {"error", detail::valid_text<Json>(error.error)}};
}

template <class Json>
void to_json(Json& json, const ShutdownReport& report) {
  json = {{"refused", report.refused},
          {"complete", report.complete},
          {"mode", to_string(report.mode)},
          {"discarded", detail::ids_of<Json>(report.discarded)},
          {"quarantined", detail::ids_of<Json>(report.quarantined)},
          {"unfinished", detail::ids_of<Json>(report.unfinished)},
          {"errors", report.errors},
          {"waiting", detail::ids_of<Json>(report.waiting)},
          {"still_running", detail::ids_of<Json>(report.still_running)},
          {"duration_ns", report.duration.count()},
          {"first_error", detail::valid_text<Json>(report.first_error)}};
}

}  // namespace kstone

#endif  // KSTONE_JSON_H_
