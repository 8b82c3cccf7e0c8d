// Numbers and conditions of the protocol's tests that nothing can be asked while a step is made.
//
// Thread safety: values.

#ifndef KSTONE_PROTOCOL_TEST_TERMS_H_
#define KSTONE_PROTOCOL_TEST_TERMS_H_

namespace kstone::protocol {

// Numbers and conditions as a solver has them: nothing can be asked of them while a step is made.
namespace terms {

class Condition {
 public:
  explicit Condition(bool value) : value_(value) {}
  friend Condition operator!(const Condition& a) { return Condition(!a.value_); }
  friend Condition operator&&(const Condition& a, const Condition& b) {
    return Condition(a.value_ && b.value_);
  }
  friend Condition operator||(const Condition& a, const Condition& b) {
    return Condition(a.value_ || b.value_);
  }
  friend bool model_of(const Condition& a) { return a.value_; }

 private:
  bool value_;
};

class Term {
 public:
  Term() : Term(0) {}
  explicit Term(int value) : value_(value) {}
  friend Term operator+(const Term& a, const Term& b) { return Term(a.value_ + b.value_); }
  friend Term operator-(const Term& a, const Term& b) { return Term(a.value_ - b.value_); }
  friend Condition operator==(const Term& a, const Term& b) {
    return Condition(a.value_ == b.value_);
  }
  friend Condition operator!=(const Term& a, const Term& b) {
    return Condition(a.value_ != b.value_);
  }
  friend Condition operator<(const Term& a, const Term& b) {
    return Condition(a.value_ < b.value_);
  }
  friend int model_of(const Term& a) { return a.value_; }

 private:
  int value_;
};

template <class Value>
Value choose(const Condition& condition, const Value& then, const Value& otherwise) {
  return model_of(condition) ? then : otherwise;
}
inline Term unite(const Term& a, const Term& b) { return Term(model_of(a) | model_of(b)); }

}  // namespace terms

}  // namespace kstone::protocol

#endif  // KSTONE_PROTOCOL_TEST_TERMS_H_
