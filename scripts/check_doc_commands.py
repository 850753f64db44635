#!/usr/bin/env python3
"""Runs the shell commands that the documents show, so that they go on to work.

  scripts/check_doc_commands.py [--list]   needs build/release, with the tool and the examples
  scripts/check_doc_commands.py --self-test

Above each block of shell (```sh) stands one of these, or the check fails:
  <!-- run -->                  it is run by bash -e in an empty folder of its own, where build/ leads to the tree's
  <!-- run with a server -->    the same, while `plait serve` runs; port 8080 in the block is that server's
  <!-- not run: REASON -->
A command that takes more than a minute, or ends with a status, is a failure. `plait` is found without its path.
"""
import contextlib
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile

MARK = re.compile(r"<!-- (run|run with a server|not run: \S.*) -->$")
ROOT = pathlib.Path(__file__).resolve().parent.parent
TOOL = ROOT / "build/release/src/cli"


def blocks(text):
    """(line number, mark or None, commands) of each block of shell."""
    found, lines = [], text.splitlines()
    for number, line in enumerate(lines):
        if line.strip() == "```sh":
            match = MARK.search(lines[number - 1]) if number else None
            end = next(i for i in range(number + 1, len(lines)) if lines[i].strip() == "```")
            found.append((number + 1, match and match[1], "\n".join(lines[number + 1 : end])))
    return found


def run(commands, port=None):
    """What went wrong, or None."""
    with tempfile.TemporaryDirectory(prefix="plait-docs-") as folder:
        pathlib.Path(folder, "build").symlink_to(ROOT / "build")
        if port:
            commands = commands.replace("127.0.0.1:8080", f"127.0.0.1:{port}")
        # Into a file: a pipe would stay open, and be waited for, as long as something that runs in the background.
        with open(os.path.join(folder, ".said"), "w+", encoding="utf-8", errors="replace") as said:
            shell = subprocess.Popen(["bash", "-e", "-o", "pipefail", "-c", commands], cwd=folder, stdout=said, stderr=said,
                                     start_new_session=True, env=os.environ | {"PATH": f"{TOOL}:{os.environ['PATH']}"})
            try:
                ended = f"ended with status {shell.wait(timeout=60)}"
            except subprocess.TimeoutExpired:
                ended = "did not end within a minute"
            with contextlib.suppress(ProcessLookupError):
                os.killpg(shell.pid, signal.SIGKILL)
            shell.wait()
            said.seek(0)
            output = said.read()
    return None if ended == "ended with status 0" else f"{ended}: {output[-300:]}"


def main(arguments):
    if arguments == ["--self-test"]:
        good = run("true") is None and run("echo a; false; true") is not None and run("test -e build") is None
        good &= "status 1" in (run("sleep 100 & false") or "")  # what it left behind is not waited for
        good &= blocks("x\n```sh\nls\n```\n<!-- run -->\n```sh\na\nb\n```\n") == [(2, None, "ls"), (6, "run", "a\nb")]
        good &= blocks("<!-- not run: -->\n```sh\na\n```")[0][1] is None
        print("doc commands: " + ("a command that fails is seen" if good else "self-test FAILED"))
        return 0 if good else 1
    found, ran, server, port = [], 0, None, None
    try:
        for page in sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]):
            for line, mark, commands in blocks(page.read_text(encoding="utf-8")):
                where = f"{page.relative_to(ROOT)}:{line}"
                if "--list" in arguments:
                    print(f"{where}: {mark}")
                elif mark is None:
                    found.append(f"{where}: shell without <!-- run --> or <!-- not run: REASON --> above it")
                elif not mark.startswith("not run"):
                    if "server" in mark and server is None:
                        server = subprocess.Popen([TOOL / "plait", "serve"], stdout=subprocess.PIPE, text=True)
                        port = int(re.search(r":(\d+)", server.stdout.readline())[1])
                    wrong = run(commands, port)
                    ran += 1
                    if wrong:
                        found.append(f"{where}: {wrong}")
    finally:
        if server is not None:
            server.terminate()
            server.wait()
    print(*found, sep="\n", end="\n" if found else "")
    print(f"doc commands: {ran} blocks ran, {len(found)} failures")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
