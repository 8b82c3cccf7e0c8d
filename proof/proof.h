// The proof as a run of questions, and what came of it.
//
// Thread safety: one thread.

#ifndef KSTONE_PROOF_PROOF_H_
#define KSTONE_PROOF_PROOF_H_

#include <set>
#include <string>
#include <vector>

#include "questions.h"

namespace kstone::proof {

struct Row {
  std::string sentence;
  bool is_property = false;
  bool is_known = false;  // an invariant: of every state, not of the steps between them
  int proven = 0;
  std::vector<std::string> failures;
  std::set<std::string> rests_on;  // each of these left out, some question about it is open
  std::set<std::string> serves;
};

struct Broken {
  std::string name;
  std::string refuted_by;  // a sentence that it breaks
  bool same = false;       // proven to be the step as it was
  std::string argument;
};

struct Options {
  bool quick = false;  // every proof, and neither what each rests on nor the broken steps
  std::string scripts;
  std::string argued;
  std::string without;  // an invariant that is left out: then something must not be proven
};

class Proof {
 public:
  explicit Proof(Options options);
  // Whether all is as it should be.
  bool run();

  const std::vector<Row>& rows() const { return rows_; }
  const std::vector<Broken>& breaks() const { return breaks_; }
  const std::vector<std::string>& problems() const { return problems_; }
  int proven() const { return proven_; }

 private:
  void beginning(std::size_t stripes);
  void consecution(const Step& step, std::size_t stripes);
  void follow(std::size_t stripes);
  void ask(const Question& question, bool properties, std::size_t stripes);
  void rest(Asked& asked, const Question& question, const Claim& claim, Row& row);
  void break_step(const Step& step);
  void argue();
  void judge();
  Row& row_of(const std::string& sentence, bool is_property);

  Options options_;
  std::vector<Row> rows_;
  std::vector<Broken> breaks_;
  std::vector<std::string> problems_;
  int proven_ = 0;
};

}  // namespace kstone::proof

#endif  // KSTONE_PROOF_PROOF_H_
