// Numbers and conditions of the protocol as terms of the solver.
//
// Thread safety: one thread.

#ifndef KSTONE_PROOF_TERMS_H_
#define KSTONE_PROOF_TERMS_H_

#include <z3++.h>

namespace kstone::proof {

inline z3::context& context() {
  static z3::context the_only_one;
  return the_only_one;
}

// What is known when it is made is left out of terms.
struct Condition {
  explicit Condition(bool value) : term(context().bool_val(value)) {}
  explicit Condition(const z3::expr& of) : term(of) {}

  friend Condition operator!(const Condition& a) {
    return a.is_known() ? Condition(a.term.is_false()) : Condition(!a.term);
  }
  friend Condition operator&&(const Condition& a, const Condition& b) {
    return a.term.is_true() || b.term.is_false()   ? b
           : b.term.is_true() || a.term.is_false() ? a
                                                   : Condition(a.term && b.term);
  }
  friend Condition operator||(const Condition& a, const Condition& b) {
    return a.term.is_false() || b.term.is_true()   ? b
           : b.term.is_false() || a.term.is_true() ? a
                                                   : Condition(a.term || b.term);
  }
  bool is_known() const { return term.is_true() || term.is_false(); }

  z3::expr term;
};

// Integers without a bound: that none of them falls below nothing is proven, too.
struct Number {
  Number() : Number(0) {}
  explicit Number(int value) : term(context().int_val(value)) {}
  explicit Number(const z3::expr& of) : term(of) {}

  friend Number operator+(const Number& a, const Number& b) { return Number(a.term + b.term); }
  friend Number operator-(const Number& a, const Number& b) { return Number(a.term - b.term); }
  friend Condition operator==(const Number& a, const Number& b) {
    return Condition(a.term == b.term);
  }
  friend Condition operator!=(const Number& a, const Number& b) {
    return Condition(a.term != b.term);
  }
  friend Condition operator<(const Number& a, const Number& b) {
    return Condition(a.term < b.term);
  }

  z3::expr term;
};

template <class Value>
Value choose(const Condition& condition, const Value& then, const Value& otherwise) {
  if (condition.is_known()) {
    return condition.term.is_true() ? then : otherwise;
  }
  return Value(z3::ite(condition.term, then.term, otherwise.term));
}

// Of which nothing is known, but that it is the same for the same.
inline Number unite(const Number& a, const Number& b) {
  const auto sort = context().int_sort();
  return Number(context().function("unite", sort, sort, sort)(a.term, b.term));
}

}  // namespace kstone::proof

#endif  // KSTONE_PROOF_TERMS_H_
