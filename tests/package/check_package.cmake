# Installs the build tree, moves the installed tree, and builds and runs a project that knows only the new place.
function(must)
  execute_process(COMMAND ${ARGV} RESULT_VARIABLE status OUTPUT_VARIABLE output ERROR_VARIABLE output)
  if(NOT status EQUAL 0)
    message(FATAL_ERROR "exit ${status}: ${ARGV}\n${output}")
  endif()
  set(output "${output}" PARENT_SCOPE)
endfunction()

file(REMOVE_RECURSE "${WORK}")
must("${CMAKE_COMMAND}" --install "${BUILD}" --prefix "${WORK}/installed")
file(RENAME "${WORK}/installed" "${WORK}/moved")

must("${CMAKE_COMMAND}" -S "${CONSUMER}" -B "${WORK}/build" -G Ninja "-DCMAKE_CXX_COMPILER=${CXX}"
     "-DCMAKE_BUILD_TYPE=${BUILD_TYPE}" "-DCMAKE_PREFIX_PATH=${WORK}/moved")
must("${CMAKE_COMMAND}" --build "${WORK}/build")
must("${WORK}/build/consumer")
if(NOT output STREQUAL "2 rows, 7 tokens, sum 7\n")
  message(FATAL_ERROR "the consumer printed: ${output}")
endif()

must("${WORK}/moved/bin/trimtab" --help)
if(NOT output MATCHES "trimtab")
  message(FATAL_ERROR "the installed program does not introduce itself: ${output}")
endif()
