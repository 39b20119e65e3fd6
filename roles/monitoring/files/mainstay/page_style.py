# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How the status page looks. Every pair of text and ground has a contrast of at least 4.5 to 1, by day and by night."""

STYLE = """
:root { --ground: #f4f5f7; --card: #fff; --ink: #1c2430; --soft: #566072; --rule: #dfe3e9; --good: #16723f; --warn: #855300; --bad: #b42020;
  --idle: #566072; --good-soft: #e3f4ea; --warn-soft: #fcf0d8; --bad-soft: #fde8e6; --idle-soft: #eceff3; --line: #2563c4; --area: #2563c426; }
@media (prefers-color-scheme: dark) {
  :root { --ground: #11151b; --card: #1a2029; --ink: #e7eaef; --soft: #a3adbc; --rule: #2e3745; --good: #5bd08c; --warn: #f0b849;
    --bad: #ff8a80; --idle: #a3adbc; --good-soft: #14352299; --warn-soft: #3d2e0c99; --bad-soft: #47191a99; --idle-soft: #262e3a;
    --line: #6ea8ff; --area: #6ea8ff2e; }
}
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 76rem; padding: 1.25rem 1rem 3rem; background: var(--ground); color: var(--ink);
  font: 15px/1.45 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", "DejaVu Sans", sans-serif;
  font-variant-numeric: tabular-nums; overflow-wrap: break-word; }
h1 { margin: 0; font-size: 1.6rem; letter-spacing: -.01em; }
h2 { margin: 0 0 .6rem; font-size: 1.05rem; }
h3 { margin: 0; font-size: 1rem; }
p, figure, ul, ol { margin: 0; padding: 0; }
header { display: grid; gap: .35rem; margin-bottom: 1.25rem; }
.verdict { font-size: 1.2rem; font-weight: 650; padding: .7rem .9rem; border-radius: .6rem; border-left: .35rem solid; }
.made, .note, .since, .why, .reason, footer, caption, .axis { color: var(--soft); font-size: .85rem; }
main { display: grid; gap: 1rem; }
section { min-width: 0; padding: 1rem; background: var(--card); border: 1px solid var(--rule); border-radius: .6rem; }
.note { margin-top: .6rem; }
footer { margin-top: 1.25rem; }
code { padding: .1em .35em; border-radius: .3em; background: var(--idle-soft); font: .85em/1.5 ui-monospace, "DejaVu Sans Mono", Menlo, monospace; }
a { color: inherit; text-underline-offset: .15em; }
.good { color: var(--good); } .warn { color: var(--warn); } .bad { color: var(--bad); } .idle, .none, .empty { color: var(--idle); }
.verdict.good { background: var(--good-soft); } .verdict.warn { background: var(--warn-soft); } .verdict.bad { background: var(--bad-soft); }
.state { display: inline-block; padding: .05rem .5rem; border-radius: 1rem; font-weight: 600; font-size: .85rem; white-space: nowrap; }
.state.good { background: var(--good-soft); } .state.warn { background: var(--warn-soft); }
.state.bad { background: var(--bad-soft); } .state.idle { background: var(--idle-soft); }
.findings { display: grid; gap: .75rem; list-style: none; }
.findings > li { padding-left: .8rem; border-left: .25rem solid; }
.findings > li > * { color: var(--ink); }
.findings .why { color: var(--soft); }
.findings ul { display: flex; flex-wrap: wrap; gap: .3rem; margin-top: .3rem; list-style: none; }
.scroll { overflow-x: auto; }
table { width: 100%; border-collapse: collapse; }
caption { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
th, td { padding: .45rem .75rem .45rem 0; border-top: 1px solid var(--rule); text-align: left; vertical-align: top; }
thead th { border-top: 0; color: var(--soft); font-size: .8rem; font-weight: 600; white-space: nowrap; }
tbody th { font-weight: 600; }
.reason { font-weight: 400; max-width: 42rem; }
svg { display: block; overflow: visible; }
.spark { width: 9rem; height: 2rem; margin-top: .15rem; }
.wide { width: 100%; height: 5.6rem; margin-top: .3rem; border-bottom: 1px solid var(--rule); }
.days { width: 11.2rem; height: 1.4rem; }
.bar { width: 9rem; height: .45rem; }
.beside { display: flex; flex-wrap: wrap; align-items: center; gap: .2rem .75rem; }
.beside > span { min-width: 4.5rem; }
.line { fill: none; stroke: var(--line); stroke-width: 1.6; vector-effect: non-scaling-stroke; stroke-linejoin: round; }
.area { fill: var(--area); }
.limit { fill: none; stroke: var(--soft); stroke-width: 1; stroke-dasharray: 4 3; vector-effect: non-scaling-stroke; }
rect.good { fill: var(--good); } rect.warn { fill: var(--warn); } rect.bad { fill: var(--bad); } rect.none { fill: var(--soft); }
rect.rest { fill: var(--rule); }
.figures { display: grid; grid-template-columns: repeat(auto-fit, minmax(15rem, 1fr)); gap: 1rem 1.5rem; margin-bottom: 1rem; }
.axis { display: flex; justify-content: space-between; }
@media (max-width: 46rem) {
  thead { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
  table, tbody, th, td { display: block; }
  tr { display: grid; grid-template-columns: minmax(0, 1fr) auto; gap: .2rem .75rem; padding: .6rem 0; border-top: 1px solid var(--rule); }
  tbody tr:first-child { border-top: 0; padding-top: 0; }
  tbody tr:last-child { padding-bottom: 0; }
  tbody th, td { padding: 0; border: 0; }
  td { display: grid; grid-column: 1 / -1; grid-template-columns: 7.5rem minmax(0, 1fr); gap: .5rem; }
  td.blank { display: none; }
  td::before { content: attr(data-label); color: var(--soft); font-size: .85rem; }
  td[data-label="State"], td[data-label="Result"] { display: block; grid-area: 1 / 2; text-align: right; }
  td[data-label="State"]::before, td[data-label="Result"]::before { content: none; }
}
@media print { body { background: none; } section { border: 0; padding: 0; break-inside: avoid; } }
"""
