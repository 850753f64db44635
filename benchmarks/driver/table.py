"""The table: one block for each section, one line for each figure, the peers below it."""

WIDTHS = (56, 9, 9, 24, 7, 22, 12)


def number(value):
    """Three significant digits, without exponents."""
    size = abs(value)
    if size >= 100:
        return f"{value:,.0f}"
    if size >= 10:
        return f"{value:.1f}"
    if size >= 1:
        return f"{value:.3f}"
    if size == 0:
        return "0"
    return f"{value:.3f}" if size >= 0.01 else f"{value:.2g}"


def line(*cells):
    return "  ".join(f"{cell:<{width}}" for cell, width in zip(cells, WIDTHS)).rstrip()


def head(title):
    columns = line("work", "plait", "limit", "best peer", "vs best", "goal", "")
    return f"\n{title}\n{columns}\n{'-' * len(line(*('-' * width for width in WIDTHS)))}"


def compare(figure, ours, best):
    """How many times better than the best peer: above 1 plait is ahead."""
    if ours == best:
        return 1.0
    better, worse = (ours, best) if figure.higher_is_better else (best, ours)
    return better / worse if worse else None  # nothing against something has no ratio


def figure_record(measured, figure):
    """One figure of a row as it stands in the JSON; the table is printed from this."""
    row = measured.row
    medians = measured.medians(figure.key)
    peers = {name: value for name, value in medians.items() if name not in (row.ours, row.limit)}
    ours = medians.get(row.ours)
    record = {"work": row.work, "figure": figure.label, "goal": figure.goal, "plait": ours,
              "limit": medians.get(row.limit), "peers": peers,
              "values": {name: of[figure.key] for name, of in measured.values.items() if figure.key in of},
              "notes": figure.remarks | measured.notes, "higher_is_better": figure.higher_is_better}
    ranked = {name: value for name, value in peers.items() if name not in figure.unranked}
    if ranked:
        best = (max if figure.higher_is_better else min)(ranked, key=ranked.get)
        record["best_peer"] = best
        if ours is not None:
            record["ratio"] = compare(figure, ours, peers[best])
    if ours is not None and figure.reached is not None:
        try:
            record["reached"] = bool(figure.reached(ours, medians))
            if record["limit"] is not None:
                record["limit_reached"] = bool(figure.reached(record["limit"], medians))
        except KeyError as absent:
            record["notes"][absent.args[0]] = "missing, so the goal cannot be judged"
    return record


def figure_lines(record):
    def shown(key):
        return "-" if record.get(key) is None else number(record[key])

    best = record.get("best_peer")
    verdict = {True: "reached", False: "NOT REACHED", None: "-"}[record.get("reached")]
    if record.get("limit_reached") is False and record.get("reached") is False:
        verdict = "not reached, nor by the limit"  # a slower machine than the goal was set on
    if record["plait"] is None:
        verdict = record["notes"].get("plait", "no figure")
    yield line(f"{record['work']}, {record['figure']}", shown("plait"), shown("limit"),
               f"{best} {number(record['peers'][best])}" if best else "-",
               f"{record['ratio']:.2f}x" if record.get("ratio") else "-", record["goal"], verdict)
    others = [f"{name} {number(value)}" for name, value in record["peers"].items() if name != best]
    others += [f"{name} {note}" for name, note in record["notes"].items() if name != "plait"]
    if others:
        yield "    " + " | ".join(others)


def absent_record(row):
    return {"work": row.work, "goal": row.goal, "plait": None, "absent": row.because}


def absent_line(record):
    return line(record["work"], "-", "-", "-", "-", record["goal"], record["absent"])
