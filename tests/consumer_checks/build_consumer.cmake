# Builds and runs tests/consumer in a clean folder, in one of three ways.
file(REMOVE_RECURSE ${WORK})
file(MAKE_DIRECTORY ${WORK})

function(run)
  execute_process(COMMAND ${ARGV} RESULT_VARIABLE status)
  if(NOT status EQUAL 0)
    string(REPLACE ";" " " line "${ARGV}")
    message(FATAL_ERROR "exit status ${status}: ${line}")
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
    file(WRITE ${WORK}/CMakeLists.txt "cmake_minimum_required(VERSION 3.23)\nproject(missing LANGUAGES CXX)\n"
         "find_package(kstone REQUIRED COMPONENTS no_such_component)\n"
    )
    execute_process(
      COMMAND ${CMAKE_COMMAND} -S ${WORK} -B ${WORK}/build -DCMAKE_PREFIX_PATH=${WORK}/prefix
      RESULT_VARIABLE status ERROR_VARIABLE error
    )
    if(status EQUAL 0 OR NOT error MATCHES "no_such_component")
      message(FATAL_ERROR "a component that does not exist was accepted, or not named: ${error}")
    endif()
    return()
  endif()
  run(${configure} -DCMAKE_PREFIX_PATH=${WORK}/prefix)
endif()
run(${CMAKE_COMMAND} --build ${WORK}/build)
run(${WORK}/build/consumer)
