# Installs the headers, one library a floor and the package files that find_package(plait) reads.
include(CMakePackageConfigHelpers)

set(plait_package_folder ${CMAKE_INSTALL_LIBDIR}/cmake/plait)

# Every floor's target that this build has; a floor that is added to the tree is installed with the others.
set(plait_floors "")
foreach(floor IN ITEMS core inspect threads coroutines processes net tls http celery advise testing)
  if(TARGET plait_${floor})
    list(APPEND plait_floors ${floor})
  endif()
endforeach()
list(TRANSFORM plait_floors PREPEND plait_ OUTPUT_VARIABLE plait_targets)

install(TARGETS ${plait_targets} plait_plait EXPORT plaitTargets
        ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR}
        LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(DIRECTORY ${PROJECT_SOURCE_DIR}/include/plait DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}
        FILES_MATCHING PATTERN "*.hpp")
install(EXPORT plaitTargets NAMESPACE plait:: DESTINATION ${plait_package_folder})

configure_package_config_file(${PROJECT_SOURCE_DIR}/cmake/plaitConfig.cmake.in
                              ${PROJECT_BINARY_DIR}/plaitConfig.cmake
                              INSTALL_DESTINATION ${plait_package_folder})
# Before 1.0 a minor release may change the API.
write_basic_package_version_file(${PROJECT_BINARY_DIR}/plaitConfigVersion.cmake
                                 COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/plaitConfig.cmake ${PROJECT_BINARY_DIR}/plaitConfigVersion.cmake
        DESTINATION ${plait_package_folder})
install(FILES ${PROJECT_SOURCE_DIR}/LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR})
if(PLAIT_BUILD_TOOL)
  install(TARGETS plait_cli RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
endif()
