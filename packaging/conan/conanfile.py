"""plait's recipe for Conan 2: conan create packaging/conan --build=missing. One option a floor; one component each."""

import os

from conan import ConanFile
from conan.errors import ConanInvalidConfiguration
from conan.tools.build import check_min_cppstd
from conan.tools.cmake import CMake, CMakeDeps, CMakeToolchain, cmake_layout
from conan.tools.files import copy, rmdir

# As cmake/PlaitComponents.cmake has it.
NEEDS = {
    "core": [], "inspect": ["core"], "threads": ["core", "inspect"], "coroutines": ["threads"], "processes": ["threads"],
    "net": ["coroutines"], "tls": ["net"], "http": ["tls"], "celery": ["processes", "tls"],
    "advise": ["coroutines", "processes"],
}
OUTSIDE = {
    "tls": ["openssl::openssl"],
    "http": ["boost::headers", "brotli::brotlidec", "libnghttp2::libnghttp2", "zlib::zlib", "zstd::zstd"],
    "celery": ["sqlite3::sqlite3", "zlib::zlib"],
}
OPTIONAL = ["coroutines", "processes", "net", "tls", "http", "celery", "advise"]


class Plait(ConanFile):
    name = "plait"
    version = "0.1.0"
    license = "MIT"
    description = "Threads, coroutines and worker processes behind one future"
    settings = "os", "compiler", "build_type", "arch"
    options = {"shared": [True, False]} | {floor: [True, False] for floor in OPTIONAL}
    default_options = {"shared": False} | {floor: True for floor in OPTIONAL}

    def export_sources(self):
        tree = os.path.join(self.recipe_folder, "..", "..")
        for pattern in ("CMakeLists.txt", "LICENSE", "cmake/*", "include/*", "src/*"):
            copy(self, pattern, tree, self.export_sources_folder)

    def floors(self):
        """Those that were asked for and what they stand on, in order."""
        wanted = {"threads"} | {floor for floor in OPTIONAL if self.options.get_safe(floor)}
        waiting = list(wanted)
        while waiting:
            for needed in NEEDS[waiting.pop()]:
                if needed not in wanted:
                    wanted.add(needed)
                    waiting.append(needed)
        return [floor for floor in NEEDS if floor in wanted]

    def requirements(self):
        floors = self.floors()
        if "tls" in floors:
            self.requires("openssl/[>=3.0 <4]")
        if "http" in floors or "celery" in floors:
            self.requires("zlib/[>=1.2.11 <2]")
        if "http" in floors:
            self.requires("boost/[>=1.74]", options={"header_only": True})
            self.requires("brotli/[>=1.0.9 <2]")
            self.requires("libnghttp2/[>=1.50 <2]")
            self.requires("zstd/[>=1.5 <2]")
        if "celery" in floors:
            self.requires("sqlite3/[>=3.40 <4]")

    def validate(self):
        check_min_cppstd(self, 20)
        if self.settings.os != "Linux":
            raise ConanInvalidConfiguration("plait runs on Linux")

    def layout(self):
        cmake_layout(self)

    def generate(self):
        CMakeDeps(self).generate()
        toolchain = CMakeToolchain(self)
        toolchain.cache_variables["PLAIT_COMPONENTS"] = ";".join(self.floors())
        for switch in ("TOOL", "TESTS", "EXAMPLES"):
            toolchain.cache_variables[f"PLAIT_BUILD_{switch}"] = False
        toolchain.cache_variables["PLAIT_INSTALL"] = True
        toolchain.generate()

    def build(self):
        cmake = CMake(self)
        cmake.configure()
        cmake.build()

    def package(self):
        copy(self, "LICENSE", self.source_folder, os.path.join(self.package_folder, "licenses"))
        CMake(self).install()
        for folder in ("cmake", "pkgconfig"):  # Conan writes its own
            rmdir(self, os.path.join(self.package_folder, "lib", folder))

    def package_info(self):
        self.cpp_info.set_property("cmake_file_name", "plait")
        self.cpp_info.set_property("cmake_target_name", "plait::plait")
        for floor in self.floors():
            component = self.cpp_info.components[floor]
            component.libs = [f"plait_{floor}"]
            component.set_property("cmake_target_name", f"plait::{floor}")
            component.set_property("pkg_config_name", f"plait-{floor}")
            component.requires = NEEDS[floor] + OUTSIDE.get(floor, [])
            component.system_libs = ["pthread", "dl"]
