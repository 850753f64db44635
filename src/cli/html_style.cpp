#include "cli/html_style.hpp"

namespace plait::cli {

const char html_style[] = R"css(
:root {
  color-scheme: light dark;
  --page: #f6f7f9; --card: #ffffff; --ink: #1b2430; --soft: #5b6878; --line: #e2e6ec;
  --plait: #0a7f8c; --python: #d9a02b; --article: #a9b4c2; --good: #1d8a4b; --bad: #c2362f;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #10151c; --card: #18202a; --ink: #e6ebf2; --soft: #93a1b3; --line: #2a3542;
    --plait: #33b8c6; --python: #e3b04b; --article: #66758a; --good: #4cc380; --bad: #ef6b62;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0; background: var(--page); color: var(--ink);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif;
}
main { max-width: 1020px; margin: 0 auto; padding: 40px 24px 64px; }
header h1 { margin: 0 0 4px; font-size: 30px; letter-spacing: -0.02em; }
header p { margin: 2px 0; color: var(--soft); }
header .quick { color: var(--python); font-weight: 600; }
.legend { display: flex; gap: 20px; margin: 18px 0 0; padding: 0; list-style: none; font-size: 14px; }
.legend li::before {
  content: ""; display: inline-block; width: 12px; height: 12px; margin-right: 7px;
  border-radius: 3px; background: var(--tone); vertical-align: -1px;
}
section { margin-top: 26px; padding: 22px 26px 20px; background: var(--card); border: 1px solid var(--line); border-radius: 14px; }
h2 { margin: 0 0 12px; font-size: 18px; }
svg { display: block; width: 100%; height: auto; overflow: visible; font: inherit; }
svg text { fill: var(--ink); font-size: 14px; }
svg .soft { fill: var(--soft); font-size: 13px; }
svg .value { font-weight: 600; font-variant-numeric: tabular-nums; }
svg .good { fill: var(--good); font-size: 13px; }
svg .bad { fill: var(--bad); font-size: 13px; }
svg .rule { stroke: var(--line); }
.fill-article { fill: var(--article); }
.fill-python { fill: var(--python); }
.fill-plait { fill: var(--plait); }
.decision { margin: 14px 0 0; padding: 12px 16px; border-left: 3px solid var(--plait); background: color-mix(in srgb, var(--plait) 9%, transparent); border-radius: 0 8px 8px 0; }
.decision b { color: var(--plait); }
.decision span { display: block; color: var(--soft); font-size: 14px; }
.grid { display: grid; grid-template-columns: repeat(auto-fit, minmax(290px, 1fr)); gap: 26px 34px; }
.grid h3 { margin: 0 0 4px; font-size: 15px; }
.scroll { overflow-x: auto; }
table { width: 100%; border-collapse: collapse; font-size: 14px; }
th, td { padding: 6px 10px 6px 0; text-align: left; vertical-align: top; }
thead th { border-bottom: 2px solid var(--line); }
tbody.row { border-bottom: 1px solid var(--line); }
td.number { font-variant-numeric: tabular-nums; }
td small { display: block; color: var(--soft); }
tr.article td { color: var(--soft); }
tr.plait td { font-weight: 600; }
tr.plait td small { font-weight: 400; }
td.who { white-space: nowrap; font-weight: 600; }
tr.article td.who { color: var(--soft); }
tr.python td.who { color: var(--python); }
tr.plait td.who { color: var(--plait); }
th.feature { font-weight: 600; white-space: nowrap; padding-right: 24px; }
.note, footer { margin-top: 12px; color: var(--soft); font-size: 13.5px; }
.failed { color: var(--bad); font-weight: 600; }
)css";

}  // namespace plait::cli
