# cmake -DCOMPILER=g++ -DSOURCE=case.cpp -DINCLUDE=dir -DSAYS=regex -P expect_failure.cmake
# Compiles SOURCE, which must succeed, then with -DFAULT, which must fail saying SAYS.
set(compile ${COMPILER} -std=c++20 -fsyntax-only -I${INCLUDE})

execute_process(COMMAND ${compile} ${SOURCE} RESULT_VARIABLE result ERROR_VARIABLE errors)
if(NOT result EQUAL 0)
  message(FATAL_ERROR "Without its fault ${SOURCE} must compile, but:\n${errors}")
endif()

execute_process(COMMAND ${compile} -DFAULT ${SOURCE} RESULT_VARIABLE result ERROR_VARIABLE errors)
if(result EQUAL 0)
  message(FATAL_ERROR "With its fault ${SOURCE} must not compile, but it does")
endif()
if(NOT errors MATCHES "${SAYS}")
  message(FATAL_ERROR "The compiler refuses ${SOURCE}, but does not say \"${SAYS}\":\n${errors}")
endif()
