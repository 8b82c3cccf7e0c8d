#include "runner.h"

int main(int argc, char** argv) {
  return kstone::model::run_suites(argc, argv, kstone::model::Rows::all);
}
