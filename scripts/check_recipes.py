#!/usr/bin/env python3
"""Holds the vcpkg port and the Conan recipe to CMake's own words: version, floors, and what each floor needs.

  scripts/check_recipes.py   exit 1, with a line for each difference

Neither tool is part of Debian, so that this is what can be checked without them: the recipes say what
cmake/PlaitComponents.cmake says, and name every floor's dependencies.
"""
import ast
import json
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent


def closure(needs, floor):
    found = set()
    for each in needs.get(floor, []):
        found |= {each} | closure(needs, each)
    return found


def main():
    found = []
    cmake = (ROOT / "CMakeLists.txt").read_text(encoding="utf-8")
    version = re.search(r"project\(plait VERSION ([\d.]+)", cmake)[1]
    components = (ROOT / "cmake/PlaitComponents.cmake").read_text(encoding="utf-8")
    wanted = {name: set(text.replace('"', "").split())
              for name, text in re.findall(r"set\(plait_needs_(\w+) ([^)]*)\)", components)}

    port = json.loads((ROOT / "packaging/vcpkg/ports/plait/vcpkg.json").read_text(encoding="utf-8"))
    features = {name: [inner for each in of.get("dependencies", []) if isinstance(each, dict)
                       for inner in each.get("features", [])] for name, of in port["features"].items()}
    always = {"core", "inspect", "threads"}
    recipe = ast.parse((ROOT / "packaging/conan/conanfile.py").read_text(encoding="utf-8"))
    values = {node.targets[0].id: ast.literal_eval(node.value) for node in recipe.body
              if isinstance(node, ast.Assign) and node.targets[0].id.isupper()}
    of_conan = re.search(r'version = "([\d.]+)"', (ROOT / "packaging/conan/conanfile.py").read_text(encoding="utf-8"))[1]

    for name, said in (("vcpkg.json", port["version"]), ("conanfile.py", of_conan)):
        if said != version:
            found.append(f"{name} says version {said}, CMakeLists.txt {version}")
    for floor, needs in wanted.items():
        if floor not in values["NEEDS"] or closure(values["NEEDS"], floor) != needs:
            found.append(f"conanfile.py: {floor} needs {sorted(closure(values['NEEDS'], floor))}, CMake says {sorted(needs)}")
        if floor not in always and (floor not in features or closure(features, floor) | always != needs | always):
            found.append(f"vcpkg.json: {floor} needs {sorted(closure(features, floor))}, CMake says {sorted(needs - always)}")
    for floor in [*features, *values["NEEDS"]]:
        if floor not in wanted:
            found.append(f"a recipe has a floor {floor} that CMake does not")
    print(*found, sep="\n", end="\n" if found else "")
    print(f"recipes: {len(wanted)} floors, {len(found)} differences")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
