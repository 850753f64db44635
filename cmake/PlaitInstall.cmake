# Installs the headers, one library a floor, and the files that find_package(plait), pkg-config, man and
# shells read; `cpack` in the build folder makes Debian packages of it.
include(CMakePackageConfigHelpers)

set(plait_package_folder ${CMAKE_INSTALL_LIBDIR}/cmake/plait)
list(TRANSFORM plait_components PREPEND plait_ OUTPUT_VARIABLE plait_targets)

install(TARGETS ${plait_targets} plait_plait EXPORT plaitTargets
        ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT dev
        LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT library NAMELINK_COMPONENT dev)
install(EXPORT plaitTargets NAMESPACE plait:: DESTINATION ${plait_package_folder} COMPONENT dev)

# The headers of what was built: one that leads to a floor that is missing would not compile.
foreach(floor IN LISTS plait_components)
  foreach(place IN ITEMS ${floor} ${floor}.hpp)
    if(IS_DIRECTORY ${PROJECT_SOURCE_DIR}/include/plait/${place})
      install(DIRECTORY ${PROJECT_SOURCE_DIR}/include/plait/${place} COMPONENT dev
              DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/plait FILES_MATCHING PATTERN "*.hpp")
    elseif(EXISTS ${PROJECT_SOURCE_DIR}/include/plait/${place})
      install(FILES ${PROJECT_SOURCE_DIR}/include/plait/${place} COMPONENT dev
              DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/plait)
    endif()
  endforeach()
endforeach()
if(plait_components STREQUAL plait_floors_in_order)
  install(DIRECTORY ${PROJECT_SOURCE_DIR}/include/plait/testing COMPONENT dev
          DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/plait FILES_MATCHING PATTERN "*.hpp")
  install(FILES ${PROJECT_SOURCE_DIR}/include/plait/testing.hpp ${PROJECT_SOURCE_DIR}/include/plait/plait.hpp
          COMPONENT dev DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/plait)
endif()

configure_package_config_file(${PROJECT_SOURCE_DIR}/cmake/plaitConfig.cmake.in
                              ${PROJECT_BINARY_DIR}/plaitConfig.cmake
                              INSTALL_DESTINATION ${plait_package_folder})
# Before 1.0 a minor release may change the API.
write_basic_package_version_file(${PROJECT_BINARY_DIR}/plaitConfigVersion.cmake
                                 COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/plaitConfig.cmake ${PROJECT_BINARY_DIR}/plaitConfigVersion.cmake
        DESTINATION ${plait_package_folder} COMPONENT dev)
install(FILES ${PROJECT_SOURCE_DIR}/LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR} COMPONENT dev)

# pkg-config: plait-FLOOR for each floor, and plait for all of them. What a library needs of others is private to
# shared libraries; who links archives links it too.
set(plait_outside_inspect_libs " -ldl")
set(plait_outside_processes_libs " -ldl")
set(plait_outside_tls openssl)
set(plait_outside_http zlib libbrotlidec libzstd libnghttp2)
set(plait_outside_celery sqlite3 zlib)
file(RELATIVE_PATH plait_up /${CMAKE_INSTALL_LIBDIR}/pkgconfig /)
string(REGEX REPLACE "/$" "" plait_up "${plait_up}")
foreach(floor IN LISTS plait_components ITEMS plait)
  set(ours ${plait_needs_${floor}})
  set(name plait-${floor})
  set(library " -lplait_${floor}")
  if(floor STREQUAL "plait")
    set(ours ${plait_components})
    set(name plait)
    set(library "")
  endif()
  list(TRANSFORM ours PREPEND plait-)
  list(REVERSE ours)  # an archive before those that it stands on
  if(BUILD_SHARED_LIBS)
    set(outside "Requires.private: ${plait_outside_${floor}}\nLibs.private:${plait_outside_${floor}_libs}\n")
  else()
    list(APPEND ours ${plait_outside_${floor}})
    string(APPEND library "${plait_outside_${floor}_libs}")
    set(outside "")
  endif()
  string(REPLACE ";" " " outside "${outside}")
  list(JOIN ours " " ours)
  file(WRITE ${PROJECT_BINARY_DIR}/pkgconfig/${name}.pc
       "prefix=\${pcfiledir}/${plait_up}\nlibdir=\${prefix}/${CMAKE_INSTALL_LIBDIR}\n"
       "includedir=\${prefix}/${CMAKE_INSTALL_INCLUDEDIR}\n\n"
       "Name: ${name}\nDescription: ${PROJECT_DESCRIPTION}\nVersion: ${PROJECT_VERSION}\n"
       "Requires: ${ours}\n${outside}"
       "Cflags: -I\${includedir} -std=c++20 -pthread\nLibs: -L\${libdir}${library} -pthread\n")
  install(FILES ${PROJECT_BINARY_DIR}/pkgconfig/${name}.pc COMPONENT dev
          DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
endforeach()

if(PLAIT_BUILD_TOOL)
  install(TARGETS plait_cli RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT tool)
  # The tool writes its own manual and completions, so that they are never out of date.
  if(NOT CMAKE_CROSSCOMPILING)
    set(said ${PROJECT_BINARY_DIR}/said)
    add_custom_command(OUTPUT ${said}/plait.1 ${said}/plait ${said}/_plait ${said}/plait.fish
      COMMAND ${CMAKE_COMMAND} -E make_directory ${said}
      COMMAND plait_cli manual > ${said}/plait.1
      COMMAND plait_cli completion bash > ${said}/plait
      COMMAND plait_cli completion zsh > ${said}/_plait
      COMMAND plait_cli completion fish > ${said}/plait.fish
      DEPENDS plait_cli VERBATIM)
    add_custom_target(plait_said ALL DEPENDS ${said}/plait.1)
    install(FILES ${said}/plait.1 DESTINATION ${CMAKE_INSTALL_MANDIR}/man1 COMPONENT tool)
    install(FILES ${said}/plait DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions COMPONENT tool)
    install(FILES ${said}/_plait DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/vendor-completions COMPONENT tool)
    install(FILES ${said}/plait.fish DESTINATION ${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d COMPONENT tool)
  endif()
endif()

include(PlaitPackages)
