# SPDX-License-Identifier: Apache-2.0
#
# The short runs of ctest: each target over its corpus and some thousand inputs more.

include(${CMAKE_CURRENT_LIST_DIR}/targets.cmake)
set(fuzz_build ${PROJECT_BINARY_DIR}/fuzz)

# From an empty cache a minute on two cores.
add_test(NAME fuzz.build COMMAND ${PROJECT_SOURCE_DIR}/hack/fuzz --build)
set_tests_properties(fuzz.build PROPERTIES LABELS fuzz TIMEOUT 1500 PROCESSORS 2
                     FIXTURES_SETUP fuzz_build ENVIRONMENT CUTOVER_FUZZ_BUILD=${fuzz_build})
foreach(target ${CUTOVER_FUZZ_TARGETS})
  add_test(NAME fuzz.${target} COMMAND ${PROJECT_SOURCE_DIR}/hack/fuzz --short ${target})
  set_tests_properties(fuzz.${target} PROPERTIES LABELS fuzz TIMEOUT 300
                       FIXTURES_REQUIRED fuzz_build
                       ENVIRONMENT CUTOVER_FUZZ_BUILD=${fuzz_build})
endforeach()
