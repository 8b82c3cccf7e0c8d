# kstone_add_model_test(<name> SOURCES <source>... [TIMEOUT <seconds>] [ARGS <argument>...])
#
# Builds the model-checking suites of the sources, one of which has a main() that calls
# kstone::model::run_suites(), into the executable <name>, and adds the test <name>, labelled
# `model`, which runs it with the arguments. It passes if every suite that it runs is green: proved
# where it must pass, refuted in an expected way where it must fail. The time limit is 300 seconds
# unless said. Assertions are on in every build type.
#
# KSTONE_GATE_REPORT, which whoever includes this file sets, is the script that makes SARIF and
# Markdown of what such an executable writes with --json.

function(kstone_add_model_test name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "TIMEOUT" "SOURCES;ARGS")
  if(NOT arg_SOURCES OR DEFINED arg_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR
      "kstone_add_model_test(${name}): expected SOURCES, TIMEOUT, ARGS; got: ${ARGN}")
  endif()
  # add_test() would be silent, and the gate stay open.
  if(NOT CMAKE_TESTING_ENABLED)
    message(FATAL_ERROR "kstone_add_model_test(${name}): call enable_testing() first")
  endif()
  if(NOT DEFINED arg_TIMEOUT)
    set(arg_TIMEOUT 300)
  endif()
  add_executable(${name} ${arg_SOURCES})
  target_link_libraries(${name} PRIVATE kstone::model)
  # An assertion that the engine has is one more thing that the gate finds; Release would take it
  # out.
  target_compile_options(${name} PRIVATE -UNDEBUG)
  add_test(NAME ${name} COMMAND ${name} ${arg_ARGS})
  set_tests_properties(${name} PROPERTIES LABELS model TIMEOUT ${arg_TIMEOUT})
endfunction()
