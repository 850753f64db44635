#!/usr/bin/env python3
"""Holds the documents to the tree: code that they show exists and compiles, links that they make lead somewhere.

  scripts/check_docs.py [ROOT]       prints FILE:LINE: what is wrong; exit 1 when anything is
  scripts/check_docs.py --self-test  hands the check a violation of each rule; exit 1 when it misses one

A C++ block stands under a line `<!-- from PATH -->` and is, apart from its indentation, a run of lines of that file,
which the build compiles. A relative link names a file or folder of the tree, and so does a header's or a
source's "See docs/..." or "Example: examples/...".

Where there is a docs/errors.md, it names every error class of the public headers.

docs/*-test-cases.md holds another project's tests beside ours. Each `Suite.Name` there is a test of tests/ or
include/plait/testing, of the file that it links to if it does; a check of the conformance suite is `Conformance.Name`. A row
whose first cell names a `test_...` names such a test in its last cell, or says "does not apply: ..." or "not yet: ...".
docs/*-bugs.md holds what went wrong elsewhere: each row of a table names such a test in its last cell.
"""
import pathlib
import re
import sys
import tempfile
import textwrap

SOURCE = re.compile(r"<!-- from (\S+) -->$")
POINTER = re.compile(r"\b(?:docs|examples)/[\w./-]+\.(?:md|cpp)\b")
LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")
DEFINITION = re.compile(r"\[([\w-]+)\]: ([^#\s]+)")
TEST = re.compile(r"\b(?:TYPED_)?TEST(?:_F|_P)?\(\s*(\w+),\s*(\w+)\s*\)")
CONFORMANCE = re.compile(r'\bcheck\{\s*"(\w+)"')
NAMED = re.compile(r"`([A-Z]\w*\.[A-Z]\w*)`(?:\]\[([\w-]+)\]|\]\(([^)#\s]+)\))?")
ERROR = re.compile(r"^class (\w+)(?: final)? : public (?:[\w:]*error|std::exception|task_error|broken_executor)\b", re.MULTILINE)
EXCUSE = re.compile(r"\b(?:does not apply|not yet): \w", re.IGNORECASE)


def excerpt_error(root, path, block):
    """What is wrong with a block that says that it comes from `path`, or None."""
    file = root / path
    if not file.is_file():
        return f"shows code from {path}, which does not exist"
    wanted = textwrap.dedent("\n".join(block)).splitlines()
    lines = file.read_text(encoding="utf-8").splitlines()
    for start in range(len(lines) - len(wanted) + 1):
        if textwrap.dedent("\n".join(lines[start : start + len(wanted)])).splitlines() == wanted:
            return None
    return f"shows code that is not in {path}"


def check_document(root, document):
    """Every (line, message) about one document."""
    found, source, block, previous = [], None, None, ""
    for number, line in enumerate((root / document).read_text(encoding="utf-8").splitlines(), 1):
        if block is not None:
            if line.strip() != "```":
                block.append(line)
                continue
            message = source and excerpt_error(root, source, block)
            if message:
                found.append((number - len(block) - 1, message))
            block = None
        elif line.startswith("```"):
            match = SOURCE.match(previous)
            source, block = match and match[1], []
            if line == "```cpp" and source is None:
                found.append((number, "shows C++ without saying which file it is from"))
        else:
            for target in LINK.findall(line) + [m[2] for m in [DEFINITION.match(line)] if m]:
                if ":" not in target and not (root / document).parent.joinpath(target).exists():
                    found.append((number, f"links to {target}, which does not exist"))
        previous = line
    return found


def tests_of(root):
    """Every test of ours, "Suite.Name", with the files that have one of that name."""
    found = {}
    for folder in ("tests", "include/plait/testing"):
        for path in sorted((root / folder).rglob("*.[ch]pp")):
            text = path.read_text(encoding="utf-8")
            names = [f"{suite}.{name}" for suite, name in TEST.findall(text)]
            names += [f"Conformance.{name}" for name in CONFORMANCE.findall(text)]
            for name in names:
                found.setdefault(name, set()).add(path.resolve())
    return found


def check_cases(root, page, tests):
    """Every (line, message) about one page of another project's test cases."""
    found = []
    lines = (root / page).read_text(encoding="utf-8").splitlines()
    defined = {m[1]: m[2] for m in map(DEFINITION.match, lines) if m}
    for number, line in enumerate(lines, 1):
        cells = line.strip().strip("|").split(" | ")
        named = NAMED.findall(line)
        for name, label, target in named:
            target = target or defined.get(label, "")
            if name not in tests:
                found.append((number, f"names the test {name}, which does not exist"))
            elif label and not target:
                found.append((number, f"links to [{label}], which is not defined"))
            elif target and (root / page).parent.joinpath(target).resolve() not in tests[name]:
                found.append((number, f"names the test {name}, which is not in {target}"))
        is_head = line.startswith("|--") or any(below.startswith("|--") for below in lines[number : number + 1])
        if page.endswith("-bugs.md") and line.startswith("|") and not is_head and not NAMED.search(cells[-1]):
            found.append((number, "names no test that would fail if this came back"))
        if "`test_" in cells[0] and not NAMED.search(cells[-1]) and not EXCUSE.search(cells[-1]):
            found.append((number, "names neither a test of ours nor a reason (does not apply:, not yet:)"))
    return found


def check_code(root, file):
    """Every (line, message) about one header or source."""
    return [
        (number, f"points to {target}, which does not exist")
        for number, line in enumerate((root / file).read_text(encoding="utf-8").splitlines(), 1)
        for target in POINTER.findall(line)
        if not (root / target).exists()
    ]


def check_errors(root):
    """Every error class of the public headers that docs/errors.md, if there is one, does not name."""
    page = root / "docs/errors.md"
    if not page.is_file():
        return []
    named = set(re.findall(r"\w+", page.read_text(encoding="utf-8")))
    return [
        f"{path.relative_to(root).as_posix()}: defines {name}, which docs/errors.md does not name"
        for path in sorted((root / "include").rglob("*.hpp"))
        for name in ERROR.findall(path.read_text(encoding="utf-8"))
        if name not in named
    ]


def check_tree(root):
    documents = sorted([*root.glob("*.md"), *root.glob("docs/**/*.md")])
    found = []
    for folder in ("include", "src"):
        for path in sorted((root / folder).rglob("*.[ch]pp")):
            name = path.relative_to(root).as_posix()
            found += [f"{name}:{line}: {text}" for line, text in check_code(root, name)]
    found += check_errors(root)
    tests = tests_of(root)
    for document in documents:
        name = document.relative_to(root).as_posix()
        errors = check_document(root, name)
        if name.endswith(("-test-cases.md", "-bugs.md")):
            errors += check_cases(root, name, tests)
        found += [f"{name}:{line}: {text}" for line, text in errors]
    return found, len(documents)


TREE = {
    "code.cpp": "int a;\n  int b;\n    int c;\n",
    "docs/page.md": "",
    "tests/pool_test.cpp": "TEST_F(Pool,\n       Works) {}\n",
    "tests/suite.hpp": 'check{"Ends", ends},\n',
    "docs/errors.md": "known_error",
}
SAMPLES = [  # a file, its text, and a part of the message that it must provoke ("" for none)
    ("include/plait/errors.hpp", "class known_error : public error {};\nclass other {};\n", None),
    ("include/plait/errors.hpp", "class lost : public net::coded_error {\n", "defines lost, which docs/errors.md"),
    ("docs/page.md", "<!-- from code.cpp -->\n```cpp\nint b;\n  int c;\n```\n", ""),
    ("docs/page.md", "[the code](../code.cpp#L1) and [elsewhere](https://example.org/x)\n", ""),
    ("docs/page.md", "```sh\n./run\n```\n", ""),
    ("include/plait/pool.hpp", "// See docs/page.md.\n", ""),
    ("docs/x-test-cases.md", "| `test_a` | it does | `Pool.Works`, differently |\n", ""),
    ("docs/x-test-cases.md", "| `test_a` | it does | [`Pool.Works`][pool] |\n\n[pool]: ../tests/pool_test.cpp\n", ""),
    ("docs/x-test-cases.md", "| `test_a` | it does | [`Conformance.Ends`](../tests/suite.hpp) |\n", ""),
    ("docs/x-test-cases.md", "| `test_a` | it does | does not apply: no pickles |\n", ""),
    ("docs/page.md", "| `test_a` | it does | `Pool.Gone` |\n", ""),
    ("docs/x-bugs.md", "| what | test |\n|---|---|\n| it hung | `Pool.Works` |\n", ""),
    ("docs/x-bugs.md", "| what | test |\n|---|---|\n| it hung | `Pool.*` |\n", "names no test"),
    ("docs/x-bugs.md", "| what | test |\n|---|---|\n| it hung | `Pool.Gone` |\n", "Pool.Gone, which does not exist"),
    ("docs/page.md", "<!-- from code.cpp -->\n```cpp\nint z;\n```\n", "not in code.cpp"),
    ("docs/page.md", "<!-- from gone.cpp -->\n```cpp\nint a;\n```\n", "gone.cpp, which does not exist"),
    ("docs/page.md", "```cpp\nint a;\n```\n", "without saying"),
    ("docs/page.md", "[gone](gone.md)\n", "links to gone.md"),
    ("docs/page.md", "[gone]: gone.md\n", "links to gone.md"),
    ("docs/x-test-cases.md", "| `test_a` | it does | `Pool.Gone` |\n", "Pool.Gone, which does not exist"),
    ("docs/x-test-cases.md", "| `test_a` | it does | [`Pool.Works`](../tests/suite.hpp) |\n", "is not in ../tests/suite.hpp"),
    ("docs/x-test-cases.md", "| `test_a` | it does | [`Pool.Works`][pool] |\n", "[pool], which is not defined"),
    ("docs/x-test-cases.md", "| `test_a` | it does | yes |\n", "neither a test of ours nor a reason"),
    ("include/plait/pool.hpp", "// See docs/gone.md.\n", "points to docs/gone.md"),
    ("src/net/tcp.cpp", "// Example: examples/net/gone.cpp\n", "points to examples/net/gone.cpp"),
]


def self_test():
    wrong = 0
    for file, text, expected in SAMPLES:
        with tempfile.TemporaryDirectory() as folder:
            root = pathlib.Path(folder)
            for name, content in {**TREE, file: text}.items():
                (root / name).parent.mkdir(parents=True, exist_ok=True)
                (root / name).write_text(content, encoding="utf-8")
            found, _ = check_tree(root)
        if (len(found) != 1 or expected not in found[0]) if expected else found:
            wrong += 1
            print(f"self-test: {file}: {text!r}: expected {expected or 'nothing'!r}, the check said {found}")
    print(f"docs self-test: {len(SAMPLES) - wrong} of {len(SAMPLES)} samples judged right")
    return 1 if wrong else 0


def main(arguments):
    if arguments == ["--self-test"]:
        return self_test()
    if len(arguments) > 1 or any(argument.startswith("-") for argument in arguments):
        print(__doc__, file=sys.stderr)
        return 2
    root = pathlib.Path(arguments[0] if arguments else pathlib.Path(__file__).parent.parent).resolve()
    found, count = check_tree(root)
    for line in found:
        print(line)
    print(f"docs: {count} documents, {len(found)} violations")
    return 1 if found or count == 0 else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
