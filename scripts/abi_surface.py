#!/usr/bin/env python3
"""Prints what a shared library promises to programs that were linked with it: one line a symbol, sorted.

  scripts/abi_surface.py INCLUDE LIBRARY.so
  scripts/abi_surface.py --self-test

The first line is the library's SONAME. A symbol counts if it is plait's, every name that it is made of stands in a
header below INCLUDE, and the classes among them are defined there: the sources' own classes are exported too, but no
program can call them. Tables of virtual functions
have their size beside them, since a new virtual function changes nothing else. Weak symbols do not count: each
program has a copy of its own of what is inline. What is not seen here is the size of a class and the order of its
members: a header that changes them changes the ABI all the same.
"""
import pathlib
import re
import subprocess
import sys
import tempfile

WORD = re.compile(r"[A-Za-z_]\w*")
SCOPE = re.compile(r"\b(?:namespace|class|struct|union)\s+(?:\[\[[^\]]*\]\]\s*)?([\w:]+)[^;{}()=]*\{")
TABLE = re.compile(r"^(vtable|VTT) for ")
SPECIAL = re.compile(r"^(vtable|VTT|typeinfo name|typeinfo|guard variable|construction vtable|non-virtual thunk|"
                     r"virtual thunk|covariant return thunk|TLS init function|TLS wrapper function)\b")


def names_of(symbol):
    """The names in a symbol's qualified name, without parameters and template arguments: None if it is not plait's."""
    name = re.sub(r"^(vtable|VTT|typeinfo name|typeinfo) for ", "", symbol)
    name = name.replace("[abi:cxx11]", "")
    depth, plain = 0, ""
    for character in name:
        if character in "<(" and not plain.endswith("operator"):
            if character == "(":
                break
            depth += 1
        elif character == ">" and depth:
            depth -= 1
        elif not depth:
            plain += character
    plain = plain.strip().split(" ")[-1] if not plain.startswith("plait::") else plain.strip()
    return WORD.findall(plain) if plain.startswith("plait::") else None


def surface(symbols, words, scopes):
    """`symbols` as nm -S -C gives them: (size, kind, name)."""
    found = set()
    for size, kind, symbol in symbols:
        names = names_of(symbol)
        if names is None or not all(name in words for name in names) or not scopes.issuperset(names[:-1]):
            continue
        if kind not in "TDBR" or (SPECIAL.match(symbol) and names[-1] not in scopes):
            continue
        found.add(f"{symbol} ({int(size, 16)} bytes)" if TABLE.match(symbol) else symbol)
    return sorted(found)


def symbols_of(library):
    said = subprocess.run(["nm", "-D", "-S", "-C", "--defined-only", str(library)], check=True, capture_output=True,
                          text=True).stdout
    for line in said.splitlines():
        match = re.match(r"^[0-9a-f]+ (?:([0-9a-f]+) )?(\S) (.*)$", line)
        if match:
            yield match[1] or "0", match[2], match[3]


def soname_of(library):
    said = subprocess.run(["objdump", "-p", str(library)], check=True, capture_output=True, text=True).stdout
    return re.search(r"SONAME\s+(\S+)", said)[1]


def words_of(include):
    """Every word of the headers' code, and those of them that are namespaces or classes with a definition."""
    words, scopes = set(), set()
    for header in pathlib.Path(include).rglob("*.hpp"):
        code = re.sub(r"//.*", "", header.read_text(encoding="utf-8"))
        words.update(WORD.findall(code))
        for names in SCOPE.findall(code):
            scopes.update(names.split("::"))
    return words, scopes


def self_test():
    words, scopes = {"plait", "pool", "submit", "detail", "operator", "engine"}, {"plait", "detail", "pool"}
    given = [("10", "T", "plait::pool::submit(std::function<void ()>)"), ("10", "W", "plait::pool::submit(int)"),
             ("10", "T", "plait::detail::engine::submit()"), ("18", "D", "vtable for plait::pool"),
             ("10", "T", "std::thread::thread()"), ("10", "D", "typeinfo for plait::pool"),
             ("10", "T", "plait::operator<<(std::ostream&, plait::pool const&)"),
             ("10", "T", "plait::pool::~pool()"), ("10", "V", "vtable for plait::pool::submit")]
    wanted = ["plait::operator<<(std::ostream&, plait::pool const&)", "plait::pool::submit(std::function<void ()>)",
              "plait::pool::~pool()", "typeinfo for plait::pool", "vtable for plait::pool (24 bytes)"]
    if surface(given, words, scopes) != wanted:
        print("\n".join(surface(given, words, scopes)))
        return 1
    with tempfile.TemporaryDirectory() as folder:
        pathlib.Path(folder, "a.hpp").write_text("struct one : two {};  // three\nclass four;\n", encoding="utf-8")
        if words_of(folder) != ({"struct", "one", "two", "class", "four"}, {"one"}):
            return 1
    print("abi_surface: keeps what a header names, and nothing else")
    return 0


def main(arguments):
    if arguments == ["--self-test"]:
        return self_test()
    if len(arguments) != 2:
        print(__doc__, file=sys.stderr)
        return 2
    print(soname_of(arguments[1]))
    print(*surface(symbols_of(arguments[1]), *words_of(arguments[0])), sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
