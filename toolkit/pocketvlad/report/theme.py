"""The page's style sheet: light and dark by the reader's setting, phone to desktop, and on paper."""

CSS = """
:root {
  --ink: #1b2430; --soft: #5b6878; --page: #f6f7f9; --card: #ffffff; --line: #dfe4ea;
  --before: #d97a2b; --after: #2f7ed8; --right: #2a9d5c; --wrong: #d0453c;
  --mask: #8b6fc0; --codes: #2f7ed8; --codebook: #e0a030; --scales: #2a9d5c; --bias: #93a0af;
}
@media (prefers-color-scheme: dark) {
  :root { --ink: #e8edf3; --soft: #9dabbb; --page: #11161d; --card: #1a222c; --line: #2d3845; }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--ink);
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", sans-serif; }
main { max-width: 1040px; margin: 0 auto; padding: 24px 16px 64px; }
header h1 { font-size: 1.9rem; line-height: 1.2; margin: 0 0 4px; letter-spacing: -0.01em; }
header p, .hint { color: var(--soft); margin: 0 0 16px; }
.hint { font-size: .9rem; max-width: 74ch; }
section { background: var(--card); border: 1px solid var(--line); border-radius: 14px; padding: 20px;
  margin-top: 20px; }
h2 { font-size: 1.2rem; margin: 0 0 4px; }
h3 { font-size: 1rem; margin: 16px 0 6px; }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(225px, 1fr)); gap: 14px;
  margin-top: 20px; }
.card { background: var(--card); border: 1px solid var(--line); border-radius: 14px; padding: 16px 18px; }
.card .what { color: var(--soft); font-size: .85rem; text-transform: uppercase; letter-spacing: .06em; }
.card .was { color: var(--soft); font-size: 1.05rem; font-variant-numeric: tabular-nums; }
.card .now { font-size: 1.75rem; font-weight: 650; line-height: 1.25; font-variant-numeric: tabular-nums; }
.card .say { font-size: .9rem; color: var(--soft); }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: .92rem; font-variant-numeric: tabular-nums; }
th, td { padding: 7px 10px; text-align: right; border-bottom: 1px solid var(--line); white-space: nowrap; }
th { color: var(--soft); font-weight: 600; font-size: .82rem; }
th:first-child, td:first-child, .text { text-align: left; }
td.wrap { white-space: normal; overflow-wrap: anywhere; }
tr.chosen td { background: color-mix(in srgb, var(--after) 12%, transparent); }
tr:last-child td { border-bottom: 0; }
.tag { background: var(--after); color: #fff; border-radius: 99px; padding: 1px 8px; font-size: .75rem; }
.bar { display: flex; height: 16px; border-radius: 4px; overflow: hidden; min-width: 2px; }
.bar i { display: block; height: 100%; }
.barcell { width: 34%; min-width: 150px; }
.mask { background: var(--mask); } .codes { background: var(--codes); }
.codebook { background: var(--codebook); }
.scales { background: var(--scales); } .bias { background: var(--bias); } .after { background: var(--after); }
.legend { display: flex; flex-wrap: wrap; gap: 4px 16px; font-size: .85rem; margin: 8px 0; }
.legend i { display: inline-block; width: 12px; height: 12px; border-radius: 3px; margin-right: 6px;
  vertical-align: -1px; }
.plot svg { display: block; width: 100%; max-width: 760px; height: auto; margin: 8px auto 0;
  color: var(--ink); }
.matches { display: grid; grid-template-columns: repeat(4, 1fr); gap: 10px; }
.matches .head { color: var(--soft); font-size: .85rem; font-weight: 600; }
.matches .name { grid-column: 1 / -1; font-size: .88rem; margin-top: 6px; overflow-wrap: anywhere; }
figure { margin: 0; }
figure img { width: 100%; display: block; border-radius: 8px; border: 4px solid transparent; }
figure.right img { border-color: var(--right); } figure.wrong img { border-color: var(--wrong); }
figcaption { font-size: .8rem; color: var(--soft); margin-top: 3px; }
.right b { color: var(--right); } .wrong b { color: var(--wrong); }
code, pre { font: .86rem/1.5 ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; }
pre { background: var(--page); border: 1px solid var(--line); border-radius: 8px; padding: 10px 12px;
  margin: 8px 0;  white-space: pre-wrap; overflow-wrap: anywhere; }
.hash { overflow-wrap: anywhere; white-space: normal; font-size: .78rem; }
details { margin-top: 14px; } summary { cursor: pointer; font-weight: 600; }
ul { margin: 6px 0 0; padding-left: 20px; } li { margin: 3px 0; }
@media (max-width: 640px) {
  main { padding: 16px 10px 40px; } section { padding: 14px; border-radius: 10px; }
  header h1 { font-size: 1.5rem; }
  .matches { grid-template-columns: repeat(2, 1fr); } .matches .head { display: none; }
  .barcell { min-width: 110px; }
}
@media print {
  :root { --ink: #000; --soft: #444; --page: #fff; --card: #fff; --line: #bbb; }
  body { font-size: 11pt; } main { max-width: none; padding: 0; }
  section, .card, figure, tr { break-inside: avoid; } section { border-radius: 0; }
  .bar i, .tag, tr.chosen td { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
  .matches { grid-template-columns: repeat(4, 1fr); } .scroll { overflow: visible; }
}
"""
