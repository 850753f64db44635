"""Measures plait beside its peers and prints the table. ../../bench builds everything and calls this."""

import argparse
import json
import os
import pathlib
import platform
import shutil
import statistics
import subprocess
import sys
import time

import instructions
import page
import revisions
import rows
import smoke
import table
from programs import Failed, Machine
from targets import SECTIONS

ROOT = pathlib.Path(__file__).resolve().parents[2]


def parse(words):
    parser = argparse.ArgumentParser(prog="./bench", description="Measures plait beside its peers.")
    parser.add_argument("sections", nargs="*", metavar="section",
                        help="which of " + ", ".join(SECTIONS) + " (all)")
    parser.add_argument("--rounds", type=int, help="rounds whose median is printed (3; --quick: 1)")
    parser.add_argument("--quick", action="store_true", help="one round, the slowest peers left out")
    parser.add_argument("--json", metavar="FILE", help="also write every value to FILE")
    parser.add_argument("--html", metavar="FILE", help="also write a page with charts to FILE")
    parser.add_argument("--read", metavar="FILE", help="measure nothing: make the page of what --json wrote before")
    parser.add_argument("--compare", nargs=2, metavar=("OLD", "NEW"),
                        help="count the instructions of two revisions' micro workloads; exit status 1 if one got worse")
    parser.add_argument("--threshold", type=float, default=1.0, metavar="PERCENT",
                        help="how much more is worse, for --compare (1)")
    parser.add_argument("--instructions", action="store_true",
                        help="count instructions an operation with valgrind instead of time")
    parser.add_argument("--smoke", action="store_true",
                        help="measure nothing: only prove that every program starts, works and reports")
    parser.add_argument("--from-clean", action="store_true",
                        help="also time ./test in a fresh clone without ccache")
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build" / "bench",
                        help=argparse.SUPPRESS)
    parser.add_argument("--check", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args(words)
    unknown = [name for name in given.sections if name not in SECTIONS]
    if unknown:
        parser.error(f"there is no section {unknown[0]}; there are " + ", ".join(SECTIONS))
    if given.rounds is not None and given.rounds < 1:
        parser.error("--rounds takes a number from 1")
    if given.read and not given.html:
        parser.error("--read is for --html FILE")
    return given


def find_machine(given):
    unpacked = given.build.parent / "bench-packages"
    tools = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", str(unpacked / "usr" / "sbin")])
    machine = Machine(build=given.build / "benchmarks", sources=ROOT / "benchmarks",
                      tool=given.build / "src" / "cli" / "plait",
                      python="/usr/bin/python3" if os.path.exists("/usr/bin/python3") else sys.executable,
                      nginx=shutil.which("nginx", path=tools))
    machine.wrk = shutil.which("wrk")
    machine.from_clean = given.from_clean
    boost = unpacked / "usr" / "include"
    machine.boost_flags = ["-isystem", str(boost)] if (boost / "boost").exists() else []
    return machine


def print_instructions(machine):
    print(f"INSTRUCTIONS AN OPERATION (callgrind)\n{'':<28}{'plait':>12}{'limit':>12}")
    for what, *figures in instructions.measure(machine):
        cells = [f"{figure:,.1f}" if isinstance(figure, float) else figure for figure in figures]
        print(f"{what:<28}" + "".join(f"{cell:>12}" for cell in cells), flush=True)


def measure_section(section, machine, rounds, quick):
    """Prints a section as its rows are measured; returns their records and whether ours all ran."""
    print(table.head(section.title))
    records, good = [], True
    for row in section.rows:
        if isinstance(row, rows.Absent):
            records.append(table.absent_record(row))
            print(table.absent_line(records[-1]), flush=True)
            continue
        measured = rows.measure(row, machine, rounds, quick)
        good &= not measured.failed
        for figure in row.figures:
            records.append(table.figure_record(measured, figure))
            print(*table.figure_lines(records[-1]), sep="\n", flush=True)
    return records, good


def versions():
    def said(*command):
        try:
            return subprocess.run(command, capture_output=True, text=True, check=False).stdout.split("\n")[0]
        except FileNotFoundError:
            return "missing"
    return {"kernel": platform.release(), "cpus": len(os.sched_getaffinity(0)),
            "compiler": said("g++", "--version"), "go": said("go", "version"),
            "python": said("/usr/bin/python3", "--version")}


def summary(records, others, seconds):
    judged = [record["reached"] for record in records if "reached" in record]
    absent = sum("absent" in record for record in records)
    silent = sum("absent" not in record and record["plait"] is None for record in records)
    busy = statistics.mean(others) if others else 0
    print(f"\n{sum(judged)} of {len(judged)} goals reached; {silent} lines without a figure of ours,"
          f" {absent} of floors not built yet; {seconds:.0f} s."
          f"\nvs best: how many times better than the best peer; above 1 plait is ahead."
          f"\nWhile programs ran, everything else here (their servers included) used {busy:.2f} CPUs.")


def main():
    given = parse(sys.argv[1:])
    if given.check:
        return 0
    if given.read:
        report = json.loads(pathlib.Path(given.read).read_text(encoding="utf-8"))
        pathlib.Path(given.html).write_text(page.write(report), encoding="utf-8")
        return 0
    if given.compare:
        try:
            return 1 if revisions.compare(ROOT, *given.compare, given.threshold) else 0
        except Failed as failure:
            print(f"./bench: {failure}", file=sys.stderr)
            return 1
    machine = find_machine(given)
    if given.instructions:
        return print_instructions(machine)
    if given.smoke:
        machine.smoke = True
        names = given.sections or [name for name in SECTIONS if name != "startup"]
        return 0 if smoke.prove_all([SECTIONS[name]() for name in names], machine) else 1
    started = time.monotonic()
    rounds = given.rounds or (1 if given.quick else 3)
    about = versions()
    print(f"plait beside its peers: median of {rounds} round(s), {about['cpus']} CPUs,"
          f" Linux {about['kernel']}, {about['compiler']}, {about['go']}, {about['python']}")
    sections, good = {}, True
    for name in given.sections or SECTIONS:
        sections[name], ran = measure_section(SECTIONS[name](), machine, rounds, given.quick)
        good &= ran
    summary([record for records in sections.values() for record in records], machine.others,
            time.monotonic() - started)
    report = {"machine": about, "rounds": rounds, "quick": given.quick, "sections": sections}
    if given.json:
        pathlib.Path(given.json).write_text(json.dumps(report, indent=1), encoding="utf-8")
    if given.html:
        pathlib.Path(given.html).write_text(page.write(report), encoding="utf-8")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
