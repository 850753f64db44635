"""Whether every contender of every row starts, does a little work and reports each figure of its row."""

import time

import rows
from programs import Failed, Missing

SLOW_TO_SAY = 5  # seconds for a contender, above which its time is printed


def prove(row, contender, machine):
    """What is wrong with a contender, None if nothing; raises Missing."""
    try:
        found = contender.measure(machine, True)
    except Failed as failure:
        return str(failure)
    wanted = [figure.key for figure in row.figures if contender.name not in figure.remarks]
    silent = [key for key in wanted if not isinstance(found.get(key), float)]
    return f"reports no {', '.join(silent)}" if silent else None


def prove_all(sections, machine):
    """Prints a line for each that fails or is missing, and a count; returns whether none failed."""
    proven, failures = 0, 0
    for section in sections:
        for row in section.rows:
            if isinstance(row, rows.Absent):
                continue
            for contender in row.contenders:
                started = time.monotonic()
                try:
                    wrong = prove(row, contender, machine)
                except Missing as missing:
                    print(f"missing  {row.work}: {contender.name}: {missing}", flush=True)
                    failures += contender.name == row.ours
                    continue
                took = time.monotonic() - started
                if wrong or took > SLOW_TO_SAY:
                    print(f"{'FAILED ' if wrong else 'slow   '}  {row.work}: {contender.name}: "
                          f"{wrong or f'{took:.1f} s'}", flush=True)
                proven += not wrong
                failures += bool(wrong)
    print(f"{proven} contenders start, work and report their figures; {failures} do not")
    return failures == 0
