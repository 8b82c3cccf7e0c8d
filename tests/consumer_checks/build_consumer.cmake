# Builds and runs tests/consumer or examples/model_gate in a clean folder, in one of several ways;
# or makes a prefix for that. WAY says which, the end of this file what each consists of.
cmake_minimum_required(VERSION 3.23)
file(REMOVE_RECURSE ${WORK})
file(MAKE_DIRECTORY ${WORK})
set(prefix ${PREFIXES}/prefix_${KIND})

function(run)
  execute_process(COMMAND ${ARGV} RESULT_VARIABLE status)
  if(NOT status EQUAL 0)
    string(REPLACE ";" " " line "${ARGV}")
    message(FATAL_ERROR "exit status ${status}: ${line}")
  endif()
endfunction()

# Configuring must fail, and name the component.
function(expect_missing component)
  file(WRITE ${WORK}/CMakeLists.txt
    "cmake_minimum_required(VERSION 3.23)\nproject(missing LANGUAGES CXX)\n"
       "find_package(kstone REQUIRED COMPONENTS ${component})\n"
  )
  execute_process(
    COMMAND ${CMAKE_COMMAND} -S ${WORK} -B ${WORK}/build -DCMAKE_PREFIX_PATH=${prefix}
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
  execute_process(COMMAND ${WORK}/gate/build/engine_gate ${ARGN}
    OUTPUT_FILE ${WORK}/printed.txt ERROR_QUIET)
  find_program(PYTHON python3 REQUIRED)
  set(write "")
  if(DEFINED ENV{KSTONE_WRITE_DOCUMENT})
    set(write --write)
  endif()
  run(${PYTHON} -B ${CMAKE_CURRENT_LIST_DIR}/gate_document.py ${KSTONE}/docs/gate.md ${block}
    ${WORK}/printed.txt ${write})
endfunction()

# The gate passes; it needs none of the headers that the checker was built with; and with the fault
# planted in the engine itself it fails, says how, also in its report, and the line that it prints
# repeats the failure.
function(check_gate)
  file(COPY ${KSTONE}/examples/model_gate/ DESTINATION ${WORK}/gate PATTERN build EXCLUDE)
  set(gate ${CMAKE_COMMAND} -E env CXX=${CXX} "CXXFLAGS=-O1 -g"
    GITHUB_STEP_SUMMARY=${WORK}/summary.md ${WORK}/gate/gate
           -DCMAKE_PREFIX_PATH=${prefix}
  )
  run_gate()
  file(READ ${WORK}/summary.md summary)
  if(status OR NOT summary MATCHES "write_while_closing . ✓ . proved" OR NOT results EQUAL 0)
    message(FATAL_ERROR
      "the gate is red, or its summary or its SARIF are not green: ${output} ${summary} ${sarif}")
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
  string(REGEX REPLACE "stop_worker\\(\\);(\n *)free_tables\\(\\);"
    "free_tables();\\1stop_worker();" planted "${engine}")
  if(dependencies STREQUAL "" OR planted STREQUAL engine)
    message(FATAL_ERROR "nothing to look at, or the planted fault changes nothing")
  endif()
  file(WRITE ${WORK}/gate/engine.h "${planted}")
  run_gate()
  if(status EQUAL 0 OR results EQUAL 0
    OR NOT output MATCHES "RED  write_while_closing +refuted: use after free")
    message(FATAL_ERROR "the gate does not notice that tables are freed first: ${output}")
  endif()
  string(JSON file GET "${sarif}" runs 0 results 0 locations 0 physicalLocation artifactLocation
    uri)
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

# CMake files below lib/cmake, and nothing else; what they run is data.
function(check_installed_files)
  file(GLOB_RECURSE files RELATIVE ${prefix}/${LIBDIR}/cmake ${prefix}/${LIBDIR}/cmake/*)
  set(others ${files})
  list(FILTER others EXCLUDE REGEX "\\.cmake$")
  if(NOT files OR others)
    message(FATAL_ERROR "not CMake's, below lib/cmake: ${others} of ${files}")
  endif()
  file(GLOB scripts ${prefix}/${DATADIR}/kstone/*.py)
  if(EXISTS ${prefix}/${LIBDIR}/cmake/kstone/kstone-model.cmake AND NOT scripts)
    message(FATAL_ERROR "the report of the gate is not installed")
  endif()
endfunction()

# Every package that is missing is named, in one line, with what helps.
function(check_missing_package)
  execute_process(
    COMMAND ${CMAKE_COMMAND} -S ${KSTONE} -B ${WORK}/build -DCMAKE_DISABLE_FIND_PACKAGE_RocksDB=ON
            -DCMAKE_DISABLE_FIND_PACKAGE_rapidcheck=ON -DCMAKE_CXX_COMPILER=${CXX}
    RESULT_VARIABLE status OUTPUT_QUIET ERROR_VARIABLE error
  )
  if(status EQUAL 0
     OR NOT error MATCHES "apt-get install [^\n]*librocksdb-dev[^\n]*librapidcheck-dev"
     OR NOT error MATCHES
     "-DKSTONE_BUILD_ROCKSDB=OFF[^\n]*-DKSTONE_BUILD_PROPTESTS=OFF[^\n]*--preset library"
  )
    message(FATAL_ERROR "not all that is missing is named with its remedy in one line: ${error}")
  endif()
  # The remedy that is named; and without the tests' packages where no tests are wanted.
  set(without -DCMAKE_DISABLE_FIND_PACKAGE_RocksDB=ON -DKSTONE_BUILD_ROCKSDB=OFF
    -DCMAKE_CXX_COMPILER=${CXX})
  run(${CMAKE_COMMAND} --fresh -S ${KSTONE} -B ${WORK}/build ${without} -DBUILD_TESTING=OFF
      -DCMAKE_DISABLE_FIND_PACKAGE_GTest=ON -DCMAKE_DISABLE_FIND_PACKAGE_rapidcheck=ON
  )
  file(STRINGS ${WORK}/build/CMakeCache.txt tests
    REGEX "^KSTONE_BUILD_(TESTS|MODEL|PROPTESTS|TSAN):BOOL=ON")
  if(tests OR EXISTS ${WORK}/build/CTestTestfile.cmake)
    message(FATAL_ERROR "BUILD_TESTING is off, and there are tests: ${tests}")
  endif()
endfunction()

# pkg_config(<variable> <argument>...): what it prints, as a list
function(pkg_config variable)
  execute_process(
    COMMAND ${CMAKE_COMMAND} -E env PKG_CONFIG_PATH=${prefix}/${LIBDIR}/pkgconfig ${PKG_CONFIG}
    ${ARGN}
    RESULT_VARIABLE status OUTPUT_VARIABLE output OUTPUT_STRIP_TRAILING_WHITESPACE
  )
  if(NOT status EQUAL 0)
    message(FATAL_ERROR "pkg-config: exit status ${status}: ${ARGN}")
  endif()
  separate_arguments(output UNIX_COMMAND "${output}")
  set(${variable} ${output} PARENT_SCOPE)
endfunction()

# A compiler by hand, as in a Makefile.
function(check_pkg_config)
  pkg_config(version --modversion kstone)
  if(KIND STREQUAL "static")
    # A program of which nothing is shared: all that the library needs must be named.
    pkg_config(flags --cflags --libs --static kstone)
    list(APPEND flags -static)
  else()
    pkg_config(libdir --variable=libdir kstone)
    pkg_config(flags --cflags --libs kstone)
    set(rpath -Wl,-rpath,${libdir})
  endif()
  run(${CXX} -std=c++20 -DPACKAGE_VERSION="${version}" ${CONSUMER}/main.cpp ${flags} ${rpath} -o
    ${WORK}/consumer)
  run(${WORK}/consumer)
  if("rocksdb" IN_LIST COMPONENTS)
    pkg_config(flags --cflags --libs kstone-rocksdb)
    run(${CXX} -std=c++20 ${CONSUMER}/rocksdb.cpp ${flags} ${rpath} -o ${WORK}/rocksdb_consumer)
    run(${WORK}/rocksdb_consumer)
  endif()
endfunction()

# Configures, builds and runs the consumer.
function(check_consumer)
  run(${CMAKE_COMMAND} -S ${CONSUMER} -B ${WORK}/build -DWAY=${WAY} ${compiler} ${ARGN})
  run(${CMAKE_COMMAND} --build ${WORK}/build)
  run(${WORK}/build/consumer)
endfunction()

set(compiler -DCMAKE_CXX_COMPILER=${CXX} -DCMAKE_CXX_COMPILER_LAUNCHER=${CXX_LAUNCHER})
# As an engine might that hides its own symbols: those that it needs of kstone are exported all the
# same.
set(hidden -DCMAKE_CXX_VISIBILITY_PRESET=hidden -DCMAKE_VISIBILITY_INLINES_HIDDEN=ON)
if(WAY STREQUAL "install")
  run(${CMAKE_COMMAND} --install ${KSTONE_BUILD} --prefix ${WORK})
elseif(WAY STREQUAL "build_and_install")
  set(rocksdb OFF)
  if("rocksdb" IN_LIST COMPONENTS)
    set(rocksdb ON)
  endif()
  run(${CMAKE_COMMAND} -S ${KSTONE} -B ${WORK}/build ${compiler} -DBUILD_SHARED_LIBS=${SHARED}
    -DBUILD_TESTING=OFF
      -DKSTONE_BUILD_ROCKSDB=${rocksdb} -DKSTONE_BUILD_TOOLS=OFF -DKSTONE_BUILD_EXAMPLES=OFF
      -DCMAKE_INSTALL_LIBDIR=${LIBDIR}
  )
  run(${CMAKE_COMMAND} --build ${WORK}/build)
  run(${CMAKE_COMMAND} --install ${WORK}/build --prefix ${WORK})
elseif(WAY STREQUAL "find_package")
  # Optimized; the other ways call what is inlined here.
  check_consumer(-DCMAKE_PREFIX_PATH=${prefix} -DCOMPONENTS=${COMPONENTS} -DCMAKE_BUILD_TYPE=Release
    ${hidden})
  if(COMPONENTS)
    run(${WORK}/build/rocksdb_consumer)
  endif()
elseif(WAY STREQUAL "subdirectory")
  check_consumer(-DKSTONE=${KSTONE} -DBUILD_SHARED_LIBS=ON ${hidden})
elseif(WAY STREQUAL "fetch_content")
  check_consumer(-DFETCHCONTENT_SOURCE_DIR_KSTONE=${KSTONE} -DFETCHCONTENT_FULLY_DISCONNECTED=ON)
elseif(WAY STREQUAL "pkg_config")
  check_pkg_config()
elseif(WAY STREQUAL "exported_symbols")
  run(${KSTONE}/tests/consumer_checks/check_exports.sh ${prefix}/${LIBDIR})
elseif(WAY STREQUAL "installed_files")
  check_installed_files()
elseif(WAY STREQUAL "missing_component")
  file(COPY ${prefix}/${LIBDIR} DESTINATION ${WORK}/prefix)
  set(prefix ${WORK}/prefix)
  expect_missing(no_such_component)
  file(REMOVE ${prefix}/${LIBDIR}/cmake/kstone/kstone-model-targets.cmake)
  expect_missing(model)
elseif(WAY STREQUAL "missing_package")
  check_missing_package()
elseif(WAY STREQUAL "model_gate")
  check_gate()
else()
  message(FATAL_ERROR "no such way: ${WAY}")
endif()
