# The port of a checkout: it builds the tree that it lies in. For a registry, replace the first line by
# vcpkg_from_github or vcpkg_from_git with the release's tag and hash.
get_filename_component(SOURCE_PATH "${CMAKE_CURRENT_LIST_DIR}/../../../.." ABSOLUTE)

set(components threads)
foreach(feature IN ITEMS coroutines processes net tls http celery advise)
  if(feature IN_LIST FEATURES)
    list(APPEND components ${feature})
  endif()
endforeach()

vcpkg_cmake_configure(
  SOURCE_PATH "${SOURCE_PATH}"
  OPTIONS "-DPLAIT_COMPONENTS=${components}" -DPLAIT_BUILD_TOOL=OFF -DPLAIT_BUILD_TESTS=OFF -DPLAIT_BUILD_EXAMPLES=OFF
          -DPLAIT_INSTALL=ON)
vcpkg_cmake_install()
vcpkg_cmake_config_fixup(CONFIG_PATH lib/cmake/plait)
vcpkg_fixup_pkgconfig()
file(REMOVE_RECURSE "${CURRENT_PACKAGES_DIR}/debug/include" "${CURRENT_PACKAGES_DIR}/debug/share")
vcpkg_install_copyright(FILE_LIST "${SOURCE_PATH}/LICENSE")
