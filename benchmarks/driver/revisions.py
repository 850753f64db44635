"""Two revisions beside each other by instruction counts: what a change cost, on a machine however busy."""

import pathlib
import subprocess

import instructions
from programs import Failed, Machine, Missing

PROGRAMS = sorted({row[1] for row in instructions.COUNTED})


def checked(*command, **more):
    done = subprocess.run(command, capture_output=True, text=True, check=False, **more)
    if done.returncode != 0:
        raise Failed(f"{' '.join(map(str, command[:4]))} ...: " + (done.stderr or done.stdout).strip()[-600:])
    return done.stdout.strip()


def built(root, revision):
    """A machine whose programs are those of a revision, built below build/compare and kept there."""
    commit = checked("git", "rev-parse", "--verify", f"{revision}^{{commit}}", cwd=root)
    folder = root / "build" / "compare" / commit[:12]
    source, build = folder / "source", folder / "build"
    if not source.exists():
        folder.mkdir(parents=True, exist_ok=True)
        checked("git", "clone", "-q", "--no-checkout", "--shared", str(root), str(source))
        checked("git", "checkout", "-q", "--detach", commit, cwd=source)
    checked("cmake", "--preset", "bench", "-B", str(build), "-DPLAIT_BUILD_EXAMPLES=OFF", "-DPLAIT_BUILD_TOOL=OFF",
            "-DPLAIT_INSTALL=OFF", cwd=source)
    checked("cmake", "--build", str(build), "--target", *PROGRAMS)
    return Machine(build=build / "benchmarks", sources=source / "benchmarks", tool=pathlib.Path(), python="", nginx=None)


def compare(root, old, new, threshold):
    """Prints a line a workload; the number of those that got worse by more than `threshold` per cent."""
    machines = [built(root, revision) for revision in (old, new)]
    print(f"INSTRUCTIONS AN OPERATION (callgrind); worse is above +{threshold:g} %\n"
          f"{'':<28}{old[:14]:>14}{new[:14]:>14}{'change':>10}")
    worse = counted = 0
    for what, program, _, mode, small, large in instructions.COUNTED:
        try:
            before, after = (instructions.an_operation(m, program, mode, small, large) for m in machines)
        except (Missing, Failed) as reason:
            print(f"{what:<28}{reason}")
            continue
        change = 100 * (after - before) / before
        counted += 1
        worse += change > threshold
        print(f"{what:<28}{before:>14,.1f}{after:>14,.1f}{change:>+9.2f} %{'  WORSE' if change > threshold else ''}", flush=True)
    print(f"{worse} of {counted} workloads got worse")
    return worse if counted else 1
