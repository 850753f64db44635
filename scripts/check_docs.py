#!/usr/bin/env python3
"""Holds the documents to the tree: code that they show exists and compiles, links that they make lead somewhere.

  scripts/check_docs.py [ROOT]       prints FILE:LINE: what is wrong; exit 1 when anything is
  scripts/check_docs.py --self-test  hands the check a violation of each rule; exit 1 when it misses one

A C++ block stands under a line `<!-- from PATH -->` and is, apart from its indentation, a run of lines of that file,
which the build compiles. A relative link names a file or folder of the tree, and so does a header's or a
source's "See docs/..." or "Example: examples/...".
"""
import pathlib
import re
import sys
import tempfile
import textwrap

SOURCE = re.compile(r"<!-- from (\S+) -->$")
POINTER = re.compile(r"\b(?:docs|examples)/[\w./-]+\.(?:md|cpp)\b")
LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")


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
            for target in LINK.findall(line):
                if ":" not in target and not (root / document).parent.joinpath(target).exists():
                    found.append((number, f"links to {target}, which does not exist"))
        previous = line
    return found


def check_code(root, file):
    """Every (line, message) about one header or source."""
    return [
        (number, f"points to {target}, which does not exist")
        for number, line in enumerate((root / file).read_text(encoding="utf-8").splitlines(), 1)
        for target in POINTER.findall(line)
        if not (root / target).exists()
    ]


def check_tree(root):
    documents = sorted([*root.glob("*.md"), *root.glob("docs/**/*.md")])
    found = []
    for folder in ("include", "src"):
        for path in sorted((root / folder).rglob("*.[ch]pp")):
            name = path.relative_to(root).as_posix()
            found += [f"{name}:{line}: {text}" for line, text in check_code(root, name)]
    for document in documents:
        name = document.relative_to(root).as_posix()
        found += [f"{name}:{line}: {text}" for line, text in check_document(root, name)]
    return found, len(documents)


SAMPLES = [  # a file, its text, and a part of the message that it must provoke ("" for none)
    ("docs/page.md", "<!-- from code.cpp -->\n```cpp\nint b;\n  int c;\n```\n", ""),
    ("docs/page.md", "[the code](../code.cpp#L1) and [elsewhere](https://example.org/x)\n", ""),
    ("docs/page.md", "```sh\n./run\n```\n", ""),
    ("include/plait/pool.hpp", "// See docs/page.md.\n", ""),
    ("docs/page.md", "<!-- from code.cpp -->\n```cpp\nint z;\n```\n", "not in code.cpp"),
    ("docs/page.md", "<!-- from gone.cpp -->\n```cpp\nint a;\n```\n", "gone.cpp, which does not exist"),
    ("docs/page.md", "```cpp\nint a;\n```\n", "without saying"),
    ("docs/page.md", "[gone](gone.md)\n", "links to gone.md"),
    ("include/plait/pool.hpp", "// See docs/gone.md.\n", "points to docs/gone.md"),
    ("src/net/tcp.cpp", "// Example: examples/net/gone.cpp\n", "points to examples/net/gone.cpp"),
]


def self_test():
    wrong = 0
    for file, text, expected in SAMPLES:
        with tempfile.TemporaryDirectory() as folder:
            root = pathlib.Path(folder)
            for name, content in {"code.cpp": "int a;\n  int b;\n    int c;\n", "docs/page.md": "", file: text}.items():
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
