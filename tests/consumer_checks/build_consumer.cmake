# Builds and runs tests/consumer or examples/model_gate in a clean folder, in one of several ways.
file(REMOVE_RECURSE ${WORK})
file(MAKE_DIRECTORY ${WORK})

function(run)
  execute_process(COMMAND ${ARGV} RESULT_VARIABLE status)
  if(NOT status EQUAL 0)
    string(REPLACE ";" " " line "${ARGV}")
    message(FATAL_ERROR "exit status ${status}: ${line}")
  endif()
endfunction()

# Configuring must fail, and name the component.
function(expect_missing component)
  file(WRITE ${WORK}/CMakeLists.txt "cmake_minimum_required(VERSION 3.23)\nproject(missing LANGUAGES CXX)\n"
       "find_package(kstone REQUIRED COMPONENTS ${component})\n"
  )
  execute_process(
    COMMAND ${CMAKE_COMMAND} -S ${WORK} -B ${WORK}/build -DCMAKE_PREFIX_PATH=${WORK}/prefix
    RESULT_VARIABLE status ERROR_VARIABLE error
  )
  if(status EQUAL 0 OR NOT error MATCHES "the component ${component}")
    message(FATAL_ERROR "a component that does not exist was accepted, or not named: ${error}")
  endif()
endfunction()

# What ./gate leaves; tests/report/workflows_test.py holds what gate.yml uploads against this.
set(written_by_gate build/gate.json build/gate.md build/gate.sarif)

# Runs ./gate; the status is left in `status`, what it printed in `output`.
macro(run_gate)
  execute_process(COMMAND ${gate} RESULT_VARIABLE status OUTPUT_VARIABLE output)
  foreach(file IN LISTS written_by_gate)
    if(NOT EXISTS ${WORK}/gate/${file})
      message(FATAL_ERROR "./gate does not write ${file}: ${output}")
    endif()
  endforeach()
  file(READ ${WORK}/gate/build/gate.sarif sarif)
  string(JSON results LENGTH "${sarif}" runs 0 results)
endmacro()

# The document shows what the gate prints.
function(check_document block)
  execute_process(COMMAND ${WORK}/gate/build/engine_gate ${ARGN} OUTPUT_FILE ${WORK}/printed.txt ERROR_QUIET)
  find_program(PYTHON python3 REQUIRED)
  set(write "")
  if(DEFINED ENV{KSTONE_WRITE_DOCUMENT})
    set(write --write)
  endif()
  run(${PYTHON} -B ${CMAKE_CURRENT_LIST_DIR}/gate_document.py ${KSTONE}/docs/gate.md ${block} ${WORK}/printed.txt ${write})
endfunction()

# The gate passes; it needs none of the headers that the checker was built with; and with the fault planted in the engine
# itself it fails, says how, also in its report, and the line that it prints repeats the failure.
function(check_gate)
  file(COPY ${CONSUMER}/ DESTINATION ${WORK}/gate PATTERN build EXCLUDE)
  set(gate ${CMAKE_COMMAND} -E env CXX=${CXX} "CXXFLAGS=-O1 -g" GITHUB_STEP_SUMMARY=${WORK}/summary.md ${WORK}/gate/gate
           -DCMAKE_PREFIX_PATH=${WORK}/prefix
  )
  run_gate()
  file(READ ${WORK}/summary.md summary)
  if(status OR NOT summary MATCHES "write_while_closing . ✓ . proved" OR NOT results EQUAL 0)
    message(FATAL_ERROR "the gate is red, or its summary or its SARIF are not green: ${output} ${summary} ${sarif}")
  endif()
  run(${WORK}/gate/build/engine)
  check_document(engine_gate)
  file(GLOB_RECURSE dependencies ${WORK}/gate/build/*.d)
  foreach(file IN LISTS dependencies)
    file(STRINGS ${file} headers REGEX "/(relacy/|CLI/|nlohmann/)")
    if(headers)
      message(FATAL_ERROR "the gate includes ${headers}")
    endif()
  endforeach()

  file(READ ${WORK}/gate/engine.h engine)
  string(REGEX REPLACE "stop_worker\\(\\);(\n *)free_tables\\(\\);" "free_tables();\\1stop_worker();" planted "${engine}")
  if(dependencies STREQUAL "" OR planted STREQUAL engine)
    message(FATAL_ERROR "nothing to look at, or the planted fault changes nothing")
  endif()
  file(WRITE ${WORK}/gate/engine.h "${planted}")
  run_gate()
  if(status EQUAL 0 OR results EQUAL 0 OR NOT output MATCHES "RED  write_while_closing +refuted: use after free")
    message(FATAL_ERROR "the gate does not notice that tables are freed first: ${output}")
  endif()
  string(JSON file GET "${sarif}" runs 0 results 0 locations 0 physicalLocation artifactLocation uri)
  string(JSON threads LENGTH "${sarif}" runs 0 results 0 codeFlows 0 threadFlows)
  if(NOT file STREQUAL "engine.h" OR NOT threads EQUAL 4) # main, t0, t1, w0
    message(FATAL_ERROR "the SARIF does not lead through the threads to the engine: ${sarif}")
  endif()
  check_document("engine_gate write_while_closing" write_while_closing)
  string(REGEX MATCH "--replay '([^']+)'" line "${output}")
  execute_process(COMMAND ${WORK}/gate/build/engine_gate --replay "${CMAKE_MATCH_1}"
                  RESULT_VARIABLE status OUTPUT_VARIABLE output
  )
  if(NOT status EQUAL 1 OR NOT output MATCHES "refuted: use after free")
    message(FATAL_ERROR "the replay does not repeat the failure: ${output}")
  endif()
endfunction()

set(configure ${CMAKE_COMMAND} -S ${CONSUMER} -B ${WORK}/build -DCMAKE_CXX_COMPILER=${CXX})
if(WAY STREQUAL "subdirectory")
  # As an engine might that hides its own symbols and is built shared: kstone's stay visible, and install nothing.
  run(${configure} -DKSTONE_SOURCE_DIR=${KSTONE} -DBUILD_SHARED_LIBS=ON -DCMAKE_CXX_VISIBILITY_PRESET=hidden
      -DCMAKE_VISIBILITY_INLINES_HIDDEN=ON
  )
else()
  run(${CMAKE_COMMAND} --install ${KSTONE_BUILD} --prefix ${WORK}/prefix)
  if(WAY STREQUAL "missing_component")
    expect_missing(no_such_component)
    file(REMOVE ${WORK}/prefix/${CONFIG_DIR}/kstone-model-targets.cmake)
    expect_missing(model)
    return()
  elseif(WAY STREQUAL "model_gate")
    check_gate()
    return()
  endif()
  run(${configure} -DCMAKE_PREFIX_PATH=${WORK}/prefix)
endif()
run(${CMAKE_COMMAND} --build ${WORK}/build)
run(${WORK}/build/consumer)
