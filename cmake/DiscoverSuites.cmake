# Run by ctest: one entry per test suite of BINARY, with LABEL, TIMEOUT (seconds) and COST.
if(NOT EXISTS "${BINARY}")
  add_test(${LABEL}.NOT_BUILT "${BINARY}")
  return()
endif()
execute_process(COMMAND "${BINARY}" --gtest_list_tests OUTPUT_VARIABLE listing RESULT_VARIABLE result)
if(NOT result EQUAL 0)
  message(FATAL_ERROR "${BINARY} --gtest_list_tests: ${result}")
endif()
string(REGEX MATCHALL "[^\n]+" lines "${listing}")
foreach(line IN LISTS lines)
  # "Suite." or "Instance/Suite.  # TypeParam = ..."; names of tests are indented.
  if(line MATCHES "^([A-Za-z0-9_/]+)\\.")
    set(suite ${CMAKE_MATCH_1})
    add_test(${LABEL}.${suite} "${BINARY}" "--gtest_filter=${suite}.*")
    # Tests run side by side: OpenMP threads that spin while they wait take the processors from each other.
    set_tests_properties(${LABEL}.${suite} PROPERTIES LABELS ${LABEL} TIMEOUT ${TIMEOUT} COST ${COST} ENVIRONMENT OMP_WAIT_POLICY=passive)
  endif()
endforeach()
