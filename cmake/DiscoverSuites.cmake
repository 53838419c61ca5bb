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
    # Suites run side by side, and ATen's threads cost more than they give on tiny models.
    set_tests_properties(${LABEL}.${suite} PROPERTIES LABELS ${LABEL} TIMEOUT ${TIMEOUT} COST ${COST} ENVIRONMENT OMP_NUM_THREADS=1)
  endif()
endforeach()
