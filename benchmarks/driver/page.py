"""The table as one page with charts, without anything from the network; light or dark as the reader's system is."""

import html

from table import number

STYLE = """
:root { --ground: #fff; --text: #1b1f24; --faint: #667; --line: #d8dde3; --plait: #00897b; --limit: #b0b7bf;
        --peer: #7da7d9; --good: #1a7f37; --bad: #b42318; }
@media (prefers-color-scheme: dark) {
  :root { --ground: #14181d; --text: #e6e9ec; --faint: #98a2ad; --line: #2c333b; --plait: #26a69a; --limit: #56606b;
          --peer: #4a78ad; --good: #4ac26b; --bad: #ff7b72; } }
body { background: var(--ground); color: var(--text); font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto;
       max-width: 62rem; padding: 0 1rem; }
h1 { font-size: 1.6rem; margin-bottom: .2rem } h2 { font-size: 1.1rem; margin: 2.4rem 0 .4rem; letter-spacing: .03em }
p, .goal, .note { color: var(--faint) } .figure { border-top: 1px solid var(--line); padding: .6rem 0 .7rem }
.work { display: flex; gap: 1rem; justify-content: space-between; flex-wrap: wrap; margin-bottom: .3rem }
.good { color: var(--good) } .bad { color: var(--bad) } .note { font-size: .85rem; margin-top: .2rem }
.bar { display: grid; grid-template-columns: 8.5rem 1fr 7rem; align-items: center; gap: .6rem; font-size: .85rem }
.bar .name { text-align: right; overflow: hidden; text-overflow: ellipsis; white-space: nowrap }
.bar .value { font-variant-numeric: tabular-nums }
.track i { display: block; height: .72rem; border-radius: 2px; min-width: 2px; background: var(--peer) }
.plait i { background: var(--plait) } .limit i { background: var(--limit) } .plait .name { font-weight: 600 }
.key i { display: inline-block; width: .8rem; height: .7rem; border-radius: 2px; margin: 0 .3rem 0 1rem }
"""


def verdict(record):
    if "reached" not in record:
        return ""
    if record["reached"]:
        return '<span class="good">reached</span>'
    beside = ", nor by the limit" if record.get("limit_reached") is False else ""
    return f'<span class="bad">not reached{beside}</span>'


def bars(record):
    """Ours, the limit and the peers, best first; a bar's length is its value's share of the largest."""
    values = dict(record["peers"])
    for name in ("plait", "limit"):
        if record.get(name) is not None:
            values[name] = record[name]
    if not values:
        return
    largest = max(values.values()) or 1
    for name in sorted(values, key=values.get, reverse=record["higher_is_better"]):
        kind = name if name in ("plait", "limit") else "peer"
        yield (f'<div class="bar {kind}"><span class="name" title="{html.escape(name)}">{html.escape(name)}</span>'
               f'<span class="track"><i style="width: {100 * values[name] / largest:.2f}%"></i></span>'
               f'<span class="value">{number(values[name])}</span></div>')


def figure(record):
    what = record["work"] + (f", {record['figure']}" if record.get("figure") else "")
    goal = f'goal {html.escape(record["goal"])} ' if record.get("goal") else ""
    ratio = f' · {record["ratio"]:.2f}× the best peer' if record.get("ratio") else ""
    yield (f'<div class="figure"><div class="work"><b>{html.escape(what)}</b>'
           f'<span class="goal">{goal}{verdict(record)}{ratio}</span></div>')
    if "absent" in record:
        yield f'<div class="note">{html.escape(record["absent"])}</div>'
    else:
        yield from bars(record)
        notes = " · ".join(f"{name}: {note}" for name, note in record["notes"].items())
        if notes:
            yield f'<div class="note">{html.escape(notes)}</div>'
    yield "</div>"


def write(report):
    """The page of what --json writes."""
    machine = report["machine"]
    parts = ['<!doctype html><html lang="en"><head><meta charset="utf-8"><title>plait beside its peers</title>',
             '<meta name="viewport" content="width=device-width"><meta name="color-scheme" content="light dark">',
             f"<style>{STYLE}</style></head><body><h1>plait beside its peers</h1>",
             f'<p>Median of {report["rounds"]} round(s){", quick" if report["quick"] else ""}. '
             + html.escape(", ".join(str(value) for value in (f"{machine['cpus']} CPUs", f"Linux {machine['kernel']}",
                           machine["compiler"], machine["go"], machine["python"]))) + "</p>",
             '<p class="key">Shorter is better, but for rates. <i style="background: var(--plait)"></i>plait'
             '<i style="background: var(--limit)"></i>hand-written limit, no library'
             '<i style="background: var(--peer)"></i>peers</p>']
    for name, records in report["sections"].items():
        parts.append(f"<h2>{html.escape(name.upper())}</h2>")
        for record in records:
            parts.extend(figure(record))
    parts.append("</body></html>\n")
    return "\n".join(parts)
