#!/usr/bin/env python3
"""What scripts/build_docs.sh needs beside mkdocs and doxygen.

  scripts/build_docs.py source DOCS TO   copies the documents; what they link to outside of DOCS becomes pages of the site
  scripts/build_docs.py check SITE       every link and anchor of the site's pages leads somewhere in it; exit 1 if not
  scripts/build_docs.py --self-test
"""
import html.parser
import os
import pathlib
import re
import shutil
import sys
import tempfile
import urllib.parse

LINK = re.compile(r"(\]\(|^\[[\w-]+\]: )([^)#\s]+)((?:#[^)\s]*)?\)?)", re.MULTILINE)
LANGUAGE = {".cpp": "cpp", ".hpp": "cpp", ".py": "python", ".sh": "bash", ".go": "go"}
API = "api.md"


def page_of(path):
    """The page of the site that shows a file or folder of the tree."""
    if path.parts[:1] == ("include",):
        return pathlib.PurePosixPath(API)
    if path.suffix == ".md":
        return pathlib.PurePosixPath("tree") / path
    return pathlib.PurePosixPath("tree") / (path.as_posix() + ".md")


class Copy:
    def __init__(self, root, docs, to):
        self.root, self.docs, self.to = root, docs, to
        self.waiting, self.done = [], set()

    def rewrite(self, text, at, page):
        """`text` stands in the file `at` and becomes `page`: its links to the tree now lead to pages of the site."""
        def link(match):
            target = match[2]
            if ":" in target:
                return match[0]
            file = pathlib.Path(os.path.normpath(self.root / at.parent / target))
            if not file.exists() or not file.is_relative_to(self.root):
                return match[0]
            path = pathlib.PurePosixPath(file.relative_to(self.root).as_posix())
            if path.is_relative_to(self.docs):
                there = path.relative_to(self.docs)
                there = there / "index.md" if file.is_dir() else there
            else:
                there = page_of(path)
                if there.as_posix() != API:
                    self.waiting.append(path)
            return match[1] + os.path.relpath(there, page.parent) + match[3]
        return LINK.sub(link, text)

    def write(self, page, text):
        path = self.to / page
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def show(self, path):
        """A file or folder of the tree as a page."""
        file, page = self.root / path, page_of(path)
        if file.is_dir():
            inside = sorted(each.name + ("/" if each.is_dir() else "") for each in file.iterdir()
                            if not each.name.startswith("."))
            text = f"# {path}\n\n" + "".join(f"- [{name}]({name.rstrip('/')})\n" for name in inside)
            self.write(page, self.rewrite(text, path / "x", page))
        elif path.suffix == ".md":
            self.write(page, self.rewrite(file.read_text(encoding="utf-8"), path, page))
        else:
            code = file.read_text(encoding="utf-8").replace("```", "'''")
            self.write(page, f"# {path}\n\n```{LANGUAGE.get(path.suffix, 'text')}\n{code}```\n")

    def run(self):
        for source in sorted((self.root / self.docs).rglob("*.md")):
            path = pathlib.PurePosixPath(source.relative_to(self.root).as_posix())
            page = path.relative_to(self.docs)
            self.write(page, self.rewrite(source.read_text(encoding="utf-8"), path, page))
        decisions = sorted((self.root / self.docs / "decisions").glob("[0-9]*.md"))
        if decisions:
            titles = [each.read_text(encoding="utf-8").splitlines()[0].lstrip("# ") for each in decisions]
            self.write(pathlib.PurePosixPath("decisions/index.md"), "# Decisions\n\n" + "".join(
                f"- [{title}]({each.name})\n" for title, each in zip(titles, decisions)))
        self.write(pathlib.PurePosixPath(API), "# API\n\nThe reference of every public header, from the headers' own comments: "
                   "<a href=\"api/annotated.html\">classes</a>, <a href=\"api/files.html\">files</a>, <a href=\"api/namespaces.html\">namespaces</a>.\n")
        for name in ("CHANGELOG.md", "CONTRIBUTING.md"):
            if (self.root / name).exists():
                self.waiting.append(pathlib.PurePosixPath(name))
        while self.waiting:
            path = self.waiting.pop()
            if path not in self.done:
                self.done.add(path)
                self.show(path)


class Page(html.parser.HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.links, self.anchors = [], set()
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        self.anchors.update(value for value in (given.get("id"), given.get("name") if tag == "a" else None) if value)
        for key in ("href", "src"):
            if given.get(key):
                self.links.append(given[key])


def check(site):
    """Every "PAGE: what is wrong". Links to other sites are left alone, but nothing may be loaded from them."""
    pages = {path.resolve(): Page(path.read_text(encoding="utf-8", errors="replace")) for path in sorted(site.rglob("*.html"))}
    found = []
    for path, page in pages.items():
        name = path.relative_to(site.resolve())
        if path.name == "404.html":
            continue
        for link in page.links:
            parts = urllib.parse.urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / urllib.parse.unquote(parts.path)).resolve() if parts.path else path
            if target.is_dir():
                target = target / "index.html"
            if not target.exists():
                found.append(f"{name}: links to {link}, which does not exist")
            elif parts.fragment and target in pages and parts.fragment != "__skip" and name.parts[0] != "api" and \
                    urllib.parse.unquote(parts.fragment) not in pages[target].anchors:
                found.append(f"{name}: links to {link}, which has no such place")
    return found, len(pages)


def self_test():
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        for path, text in {"docs/a.md": "[b](b.md) [code](../x/c.cpp) [all](../x) [out](http://e.org)",
                           "docs/b.md": "# B\n", "x/c.cpp": "int a;\n"}.items():
            (root / path).parent.mkdir(exist_ok=True)
            (root / path).write_text(text, encoding="utf-8")
        Copy(root, "docs", root / "to").run()
        copied = (root / "to/a.md").read_text(encoding="utf-8")
        good = copied == "[b](b.md) [code](tree/x/c.cpp.md) [all](tree/x.md) [out](http://e.org)"
        good &= "int a;" in (root / "to/tree/x/c.cpp.md").read_text(encoding="utf-8")
        site = root / "site"
        site.mkdir()
        (site / "a.html").write_text('<a href="b.html#here"><a href="b.html#gone"><a href="c.html">', encoding="utf-8")
        (site / "b.html").write_text('<p id="here">', encoding="utf-8")
        found = check(site)[0]
        good &= found == ["a.html: links to b.html#gone, which has no such place",
                          "a.html: links to c.html, which does not exist"]
    print("build_docs: rewrites links and finds those that lead nowhere" if good else f"build_docs: self-test FAILED: {copied} {found}")
    return 0 if good else 1


def main(arguments):
    if arguments == ["--self-test"]:
        return self_test()
    if len(arguments) == 3 and arguments[0] == "source":
        shutil.rmtree(arguments[2], ignore_errors=True)
        Copy(pathlib.Path.cwd(), arguments[1], pathlib.Path(arguments[2])).run()
        return 0
    if len(arguments) == 2 and arguments[0] == "check":
        found, count = check(pathlib.Path(arguments[1]))
        print(*found, sep="\n", end="\n" if found else "")
        print(f"docs: {count} pages, {len(found)} links lead nowhere")
        return 1 if found or count == 0 else 0
    print(__doc__, file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
