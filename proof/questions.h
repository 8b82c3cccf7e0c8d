// Questions to the solver: from what is known, does each claim follow? And the same as text, for
// another solver.
//
// Thread safety: one thread.

#ifndef KSTONE_PROOF_QUESTIONS_H_
#define KSTONE_PROOF_QUESTIONS_H_

#include <filesystem>
#include <set>
#include <string>
#include <vector>

#include "claims.h"

namespace kstone::proof {

enum class Answer { follows, refuted, unknown };

struct Question {
  std::string name;
  z3::expr given;
  Claims known;
  Claims claims;
};

class Asked {
 public:
  explicit Asked(const Question& question);

  // Whether there is any such state at all: what is known contradicts nothing.
  bool possible();
  Answer follows(const z3::expr& claim) { return follows(claim, {}); }
  // ... with some of what is known left out.
  Answer follows(const z3::expr& claim, const std::set<std::string>& left_out);
  // Of the last claim that followed: what the solver used of what is known.
  std::set<std::string> used();
  // Of the last that did not: in which of these the state differs, or which does not hold there.
  std::string first_false(const Claims& claims);

 private:
  Claims known_;
  std::vector<z3::expr> literals_;
  z3::solver solver_;
  bool asked_ = false;  // the last question is still there, with its answer
};

// SMT-LIB: the answers that are expected stand in its first line.
class Script {
 public:
  explicit Script(const Question& question);
  void expect_possible();
  void expect(const z3::expr& claim, const std::string& name, bool follows);
  void write(const std::filesystem::path& path) const;

 private:
  std::string text_;
  std::string expected_;
};

std::string file_name(const std::string& name);

}  // namespace kstone::proof

#endif  // KSTONE_PROOF_QUESTIONS_H_
