"""The page's style sheet: light and dark by the reader's setting, phone to desktop, and on paper."""

from __future__ import annotations

from collections.abc import Mapping

from pocketvlad.report.palette import DARK, INK, PARTS, VARIABLES


def _variables(colours: Mapping[str, str]) -> str:
    return " ".join(f"--{name}: {colour};" for name, colour in colours.items())


_LIGHT = f"--ink: {INK}; --soft: #566272; --page: #f6f7f9; --card: #ffffff; --line: #dfe4ea;"
_NIGHT = "--ink: #e8edf3; --soft: #9dabbb; --page: #11161d; --card: #1a222c; --line: #2d3845;"
_PAPER = "--ink: #000; --soft: #444; --page: #fff; --card: #fff; --line: #bbb;"
_PART_CLASSES = " ".join(f".{name} {{ background: var(--{name}); }}" for name in PARTS)

CSS = (
    f"""
:root {{ {_LIGHT} {_variables(VARIABLES)} {_variables(PARTS)} }}
@media screen and (prefers-color-scheme: dark) {{ :root {{ {_NIGHT} {_variables(DARK)} }} }}
@media print {{ :root {{ {_PAPER} }} }}
{_PART_CLASSES} .after {{ background: var(--after); }}
"""
    """
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--ink);
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", sans-serif; }
main { max-width: 1120px; margin: 0 auto; padding: 24px 16px 64px; }
header h1 { font-size: 1.9rem; line-height: 1.2; margin: 0 0 8px; letter-spacing: -0.01em;
  overflow-wrap: anywhere; }
header p, .hint { color: var(--soft); margin: 0 0 12px; }
header .point { color: var(--ink); font-size: 1.2rem; line-height: 1.45; max-width: 66ch; }
.hint { font-size: .9rem; max-width: 78ch; }
section { background: var(--card); border: 1px solid var(--line); border-radius: 14px; padding: 20px;
  margin-top: 20px; }
section p { max-width: 82ch; overflow-wrap: anywhere; }
h2 { font-size: 1.25rem; margin: 0 0 4px; }
h3 { font-size: 1rem; margin: 16px 0 6px; }
.cards { display: grid; grid-template-columns: repeat(4, 1fr); gap: 14px; margin-top: 20px; }
.card { background: var(--card); border: 1px solid var(--line); border-radius: 14px; padding: 14px 18px; }
.card .what { color: var(--soft); font-size: .9rem; }
.card .was { color: var(--soft); font-size: 1.05rem; font-variant-numeric: tabular-nums; }
.card .now { font-size: 1.75rem; font-weight: 650; line-height: 1.25; font-variant-numeric: tabular-nums; }
.card .say { font-size: .9rem; color: var(--soft); }
table { border-collapse: collapse; width: 100%; font-size: .92rem; font-variant-numeric: tabular-nums;
  margin-bottom: 12px; }
th, td { padding: 7px 8px; text-align: right; border-bottom: 1px solid var(--line); white-space: nowrap; }
th { color: var(--soft); font-weight: 600; font-size: .82rem; }
th:first-child, td:first-child, .text { text-align: left; }
td:first-child { white-space: normal; overflow-wrap: anywhere; }
td.wrap { white-space: normal; overflow-wrap: anywhere; }
tr.chosen td { background: color-mix(in srgb, var(--after) 12%, transparent); }
tr:last-child td { border-bottom: 0; }
table.layers { font-size: .84rem; } table.layers .barcell { width: 18%; }
.tag { background: var(--after); color: #fff; border-radius: 99px; padding: 1px 8px; font-size: .75rem;
  white-space: nowrap; }
.bar { display: flex; height: 14px; border-radius: 4px; overflow: hidden; min-width: 2px; }
.bar i { display: block; height: 100%; }
.barcell { width: 26%; min-width: 110px; }
.legend { display: flex; flex-wrap: wrap; gap: 4px 16px; font-size: .85rem; margin: 8px 0; }
.legend i { display: inline-block; width: 12px; height: 12px; border-radius: 3px; margin-right: 6px;
  vertical-align: -1px; }
.plots { display: grid; grid-template-columns: minmax(0, 6fr) minmax(0, 5fr); gap: 8px 28px; align-items: center; }
.plots.small { grid-template-columns: repeat(auto-fit, minmax(min(100%, 280px), 1fr)); }
.plots.small .plot { max-width: 420px; }
.beside { font-size: .95rem; color: var(--soft); }
.plot svg { display: block; width: 100%; height: auto; color: var(--ink); }
.matches { display: grid; grid-template-columns: repeat(4, minmax(0, 1fr)); gap: 10px; max-width: 900px; }
.matches .head { color: var(--soft); font-size: .85rem; font-weight: 600; overflow-wrap: anywhere; }
.matches .name { grid-column: 1 / -1; font-size: .88rem; margin: 6px 0 0; overflow-wrap: anywhere; }
.matches h3.name { font-size: 1rem; margin-top: 12px; }
figure { margin: 0; }
figure img { width: 100%; display: block; border-radius: 8px; border: 4px solid transparent; }
figure.right img { border-color: var(--right); } figure.wrong img { border: 4px dashed var(--wrong); }
figcaption { font-size: .8rem; color: var(--soft); margin-top: 3px; overflow-wrap: anywhere; }
.right b { color: var(--right); } .wrong b { color: var(--wrong); }
code, pre { font: .86rem/1.5 ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; }
pre { background: var(--page); border: 1px solid var(--line); border-radius: 8px; padding: 10px 12px;
  margin: 8px 0;  white-space: pre-wrap; overflow-wrap: anywhere; }
.hash { overflow-wrap: anywhere; white-space: normal; font-size: .78rem; }
details { margin-top: 10px; } summary { cursor: pointer; font-weight: 600; overflow-wrap: anywhere; }
ul { margin: 6px 0 0; padding-left: 20px; } li { margin: 3px 0; }
@media screen and (max-width: 900px) {
  .cards { grid-template-columns: repeat(2, minmax(0, 1fr)); }
  .plots { grid-template-columns: minmax(0, 1fr); }
}
@media screen and (max-width: 820px) {
  thead { display: none; }
  tr { display: grid; grid-template-columns: repeat(2, minmax(0, 1fr)); gap: 0 16px; padding: 8px 6px;
    border-bottom: 1px solid var(--line); }
  tr.chosen { background: color-mix(in srgb, var(--after) 12%, transparent); } tr.chosen td { background: none; }
  td { border: 0; padding: 1px 0; text-align: left; white-space: normal; overflow-wrap: anywhere; }
  td:first-child, td.barcell, td.hash, td.wrap { grid-column: 1 / -1; width: auto; }
  td:first-child { font-weight: 600; }
  td:empty { display: none; }
  td:not(:first-child)[data-head]::before { content: attr(data-head) " "; color: var(--soft); font-size: .82rem; }
  td.hash::before { content: "" !important; }
  .barcell .bar { margin: 3px 0; }
}
@media screen and (max-width: 640px) {
  main { padding: 16px 10px 40px; } section { padding: 14px; border-radius: 10px; }
  header h1 { font-size: 1.5rem; } header .point { font-size: 1.05rem; }
  .cards { gap: 8px; } .card { padding: 10px 12px; } .card .now { font-size: 1.35rem; }
  .matches { grid-template-columns: repeat(2, minmax(0, 1fr)); } .matches .head { display: none; }
}
@media print {
  @page { margin: 14mm; }
  body { font-size: 10pt; } main { max-width: none; padding: 0; }
  section, .card { border-radius: 0; } section { padding: 4mm; }
  .card, figure, tr, .plot, pre, h2 + .hint { break-inside: avoid; } h2, h3, summary { break-after: avoid; }
  .bar i, .legend i, .tag, tr.chosen td { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
  .card .now { font-size: 14pt; } .matches { gap: 2mm; } .matches .name { break-after: avoid; }
  table { font-size: 8.5pt; } th, td { padding: 3px 4px; }
}
"""
)
