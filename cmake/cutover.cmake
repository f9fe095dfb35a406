# SPDX-License-Identifier: Apache-2.0
#
# How every target of this project is declared. A library is static, so that a dependency that is
# not declared fails at link time: this is what keeps the one-way order of docs/architecture.md.

include(GoogleTest)

add_library(cutover_options INTERFACE)
target_compile_features(cutover_options INTERFACE cxx_std_20)
target_include_directories(cutover_options INTERFACE ${PROJECT_SOURCE_DIR})
target_compile_options(cutover_options INTERFACE -Wall -Wextra -Wpedantic -Wshadow -Werror
                                                 -fno-omit-frame-pointer)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  # g++ 12 reports these inside libstdc++ itself once it has inlined enough (GCC bug 105329, 105651).
  target_compile_options(cutover_options INTERFACE -Wno-restrict -Wno-maybe-uninitialized)
endif()
if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
  target_compile_options(cutover_options INTERFACE -Wthread-safety)
endif()

set(CUTOVER_SANITIZE "" CACHE STRING "Sanitizers to build with, as -fsanitize= takes them")
if(CUTOVER_SANITIZE)
  target_compile_options(cutover_options INTERFACE -fsanitize=${CUTOVER_SANITIZE})
  target_link_options(cutover_options INTERFACE -fsanitize=${CUTOVER_SANITIZE})
  if(CUTOVER_SANITIZE MATCHES "undefined")
    # One false report in a cpprestsdk header (astreambuf.h): field-notes on the library.
    target_compile_options(cutover_options INTERFACE -fno-sanitize=vptr -fno-sanitize-recover=all)
  endif()
endif()

# cutover_library(NAME SOURCES ... [DEPS ...] [PRIVATE_DEPS ...])
function(cutover_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPS;PRIVATE_DEPS" ${ARGN})
  add_library(cutover_${name} STATIC ${ARG_SOURCES})
  add_library(cutover::${name} ALIAS cutover_${name})
  target_link_libraries(cutover_${name} PUBLIC cutover_options ${ARG_DEPS} PRIVATE ${ARG_PRIVATE_DEPS})
endfunction()

# cutover_binary(NAME SOURCES ... [DEPS ...])
function(cutover_binary name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPS" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE cutover_options ${ARG_DEPS})
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)
endfunction()

# cutover_test(NAME LABEL SOURCES ... [DEPS ...] [TIMEOUT seconds] [RESOURCE_LOCK name]
#              [ENVIRONMENT VAR=value] [FIXTURES_REQUIRED name])
#
# One ctest test for each GoogleTest case, labelled with the folder it lives in. Cases are found
# when ctest starts, not at build time, so that building needs no cluster and no server.
function(cutover_test name label)
  cmake_parse_arguments(ARG "" "TIMEOUT;RESOURCE_LOCK;FIXTURES_REQUIRED" "SOURCES;DEPS;ENVIRONMENT" ${ARGN})
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 300)  # For what hangs: the slowest needs a minute on two busy cores.
  endif()
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE cutover_options ${ARG_DEPS} GTest::gmock GTest::gtest_main)
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
  # What a test itself does runs once; optimizing that takes longer than it saves. A simulation's
  # models run by the hundred thousand.
  if(NOT label STREQUAL "sim")
    target_compile_options(${name} PRIVATE -O0)
  endif()
  set(properties LABELS ${label} TIMEOUT ${ARG_TIMEOUT})
  if(ARG_RESOURCE_LOCK)
    list(APPEND properties RESOURCE_LOCK ${ARG_RESOURCE_LOCK})
  endif()
  if(ARG_FIXTURES_REQUIRED)
    list(APPEND properties FIXTURES_REQUIRED ${ARG_FIXTURES_REQUIRED})
  endif()
  if(ARG_ENVIRONMENT)
    list(APPEND properties ENVIRONMENT "${ARG_ENVIRONMENT}")
  endif()
  # Each program is asked when ctest starts, on a new machine with nothing of it in memory yet.
  gtest_discover_tests(${name} DISCOVERY_MODE PRE_TEST DISCOVERY_TIMEOUT 120
                       WORKING_DIRECTORY ${PROJECT_SOURCE_DIR}
                       PROPERTIES ${properties})
endfunction()
