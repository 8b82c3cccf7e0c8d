#include "kstone/detail/core/lanes.h"

#include <algorithm>

namespace kstone::detail {
namespace {

constexpr std::array<Priority, priority_count> highest_first = {Priority::high, Priority::normal,
                                                                Priority::low};

bool is_older(const std::vector<Stripe>& stripes, std::uint32_t id, std::uint32_t than) {
  return stripes[id].time.get() < stripes[than].time.get();
}

}  // namespace

void Lanes::push_back(std::vector<Stripe>& stripes, std::uint32_t id, Time now) {
  last_ = empty() ? now : std::max(now, last_ + Time(1));
  auto& stripe = stripes[id];
  stripe.time.set(last_);
  at(stripe.lane).push_back(stripes, id);
}

void Lanes::remove(std::vector<Stripe>& stripes, std::uint32_t id) {
  at(stripes[id].lane).remove(stripes, id);
}

std::uint32_t Lanes::raise(std::vector<Stripe>& stripes, std::uint32_t id, Priority to,
                           std::uint32_t most) {
  const auto from = static_cast<std::size_t>(stripes[id].lane);
  auto& passed = passed_[static_cast<std::size_t>(to)];
  remove(stripes, id);
  auto& lane = at(to);
  std::uint32_t looked = 0;
  auto younger = lane.front();
  auto older = lane.back();
  for (; !lane.empty(); ++looked) {
    if (!is_older(stripes, younger, id)) {
      break;
    }
    if (is_older(stripes, older, id)) {
      younger = stripes[older].next;
      break;
    }
    if (looked == most) {
      younger = older;
      stripes[id].time = stripes[younger].time;
      break;
    }
    younger = stripes[younger].next;
    older = stripes[older].previous;
  }
  stripes[id].lane = to;
  lane.insert_before(stripes, younger, id);
  if (id == lane.front()) {
    passed = std::max(passed, passed_[from]);  // that many have passed it at the most
  }
  return looked;
}

std::optional<Priority> Lanes::next(const std::vector<Stripe>& stripes, const Open& open) const {
  std::optional<Priority> first;
  std::optional<Priority> due;
  for (const auto lane : highest_first) {
    const auto i = static_cast<std::size_t>(lane);
    if (!open[i] || at(lane).empty()) {
      continue;
    }
    first = first.value_or(lane);
    if (passed_[i] >= patience_ && (!due || is_older(stripes, front(lane), front(*due)))) {
      due = lane;
    }
  }
  return due ? due : first;
}

std::uint32_t Lanes::pop(std::vector<Stripe>& stripes, Priority lane, const Open& open) {
  const auto id = front(lane);
  for (const auto other : highest_first) {
    const auto i = static_cast<std::size_t>(other);
    auto& passed = passed_[i];
    if (other == lane) {
      passed = 0;
    } else if (open[i] && passed != patience_ && !at(other).empty() &&
               is_older(stripes, front(other), id)) {
      ++passed;
    }
  }
  return at(lane).pop_front(stripes);
}

std::optional<std::uint32_t> Lanes::oldest(const std::vector<Stripe>& stripes) const {
  std::optional<std::uint32_t> result;
  for (const auto lane : highest_first) {
    if (!at(lane).empty() && (!result || is_older(stripes, front(lane), *result))) {
      result = front(lane);
    }
  }
  return result;
}

}  // namespace kstone::detail
