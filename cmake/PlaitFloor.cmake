# What a program that was linked with shared libraries asks for: before 1.0 a minor version may change the ABI too.
if(PROJECT_VERSION_MAJOR EQUAL 0)
  set(plait_soversion 0.${PROJECT_VERSION_MINOR})
else()
  set(plait_soversion ${PROJECT_VERSION_MAJOR})
endif()

# plait_floor(NAME SOURCES a.cpp ... [SMALL b.cpp ...] [DEPENDS floor ...] [PRIVATE lib ...])
# One library, plait::NAME, that links the floors it names publicly and other libraries privately. What is SMALL
# does not run often enough for its speed to matter.
function(plait_floor name)
  cmake_parse_arguments(floor "" "" "SOURCES;SMALL;DEPENDS;PRIVATE" ${ARGN})
  add_library(plait_${name} ${floor_SOURCES} ${floor_SMALL})
  set_source_files_properties(${floor_SMALL} PROPERTIES COMPILE_OPTIONS $<$<CONFIG:Release>:-Os>)
  add_library(plait::${name} ALIAS plait_${name})
  set_target_properties(plait_${name} PROPERTIES EXPORT_NAME ${name} OUTPUT_NAME plait_${name}
                        POSITION_INDEPENDENT_CODE ON CXX_EXTENSIONS OFF DEFINE_SYMBOL ""
                        VISIBILITY_INLINES_HIDDEN ON
                        VERSION ${PROJECT_VERSION} SOVERSION ${plait_soversion})
  target_compile_features(plait_${name} PUBLIC cxx_std_20)
  # So that a program can leave out what it does not use: -Wl,--gc-sections.
  target_compile_options(plait_${name} PRIVATE -ffunction-sections -fdata-sections)
  target_include_directories(plait_${name}
    PUBLIC $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include> $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>
    PRIVATE ${PROJECT_SOURCE_DIR}/src)
  list(TRANSFORM floor_DEPENDS PREPEND plait::)
  target_link_libraries(plait_${name} PUBLIC ${floor_DEPENDS} Threads::Threads
                        PRIVATE $<BUILD_INTERFACE:${floor_PRIVATE}>)
  plait_warnings(plait_${name})
endfunction()

# plait_warnings(TARGET): what our own code compiles clean under, and the sanitizers of this build.
function(plait_warnings target)
  target_compile_options(${target} PRIVATE -Wall -Wextra -Wpedantic -Wshadow -Wnon-virtual-dtor)
  if(PLAIT_SANITIZE)
    target_compile_options(${target} PUBLIC -fsanitize=${PLAIT_SANITIZE} -fno-omit-frame-pointer
                           -fno-sanitize-recover=all)
    target_link_options(${target} PUBLIC -fsanitize=${PLAIT_SANITIZE})
  endif()
endfunction()
