"""How a report looks: on a telephone, on a desk, in the dark, on paper."""

from __future__ import annotations

from typing import Final

from grievance.markup import Style

CSS: Final = Style(
    """
:root { color-scheme: light dark; --ink: #1b1d21; --paper: #ffffff; --soft: #474c55;
  --line: #c9ced6; --tint: #f1f4f8; --accent: #14507f; --warn: #7a2e0a; --warn-tint: #fdf0e8; }
@media (prefers-color-scheme: dark) { :root { --ink: #e8eaee; --paper: #15171b;
  --soft: #b3b9c3; --line: #464c57; --tint: #1f232a; --accent: #7fb8e8; --warn: #ffb48f;
  --warn-tint: #33211a; } }
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body { margin: 0; background: var(--paper); color: var(--ink); overflow-wrap: anywhere;
  font: 1rem/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif; }
header, main, nav, footer { max-width: 48rem; margin: 0 auto; padding: 0 1rem; }
header { padding-top: 1.5rem; } footer { padding-bottom: 3rem; }
h1 { font-size: 1.7rem; line-height: 1.2; margin: 0 0 .5rem; }
h2 { font-size: 1.35rem; line-height: 1.25; margin: 2.8rem 0 .6rem; padding-top: .6rem;
  border-top: 3px solid var(--accent); }
h3 { font-size: 1.12rem; line-height: 1.35; margin: 2rem 0 .3rem; }
h4 { font-size: 1rem; margin: 1.2rem 0 .2rem; }
p, ul, ol { margin: .5rem 0; } ul, ol { padding-left: 1.3rem; } li { margin: .25rem 0; }
a { color: var(--accent); }
nav ul { list-style: none; padding: 0; columns: 15rem; column-gap: 2rem; }
.lead { font-size: 1.25rem; font-weight: 600; line-height: 1.35; }
.key { font-size: 1.06rem; } .key li { margin: .6rem 0; }
.soft, caption, figcaption { color: var(--soft); }
.note { border-left: .3rem solid var(--accent); background: var(--tint); padding: .5rem .9rem; }
.warn { border-left: .3rem solid var(--warn); background: var(--warn-tint); color: var(--warn);
  padding: .5rem .9rem; font-weight: 600; }
code, .digest { font-family: ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace;
  font-size: .9em; }
.command { display: block; padding: .6rem .8rem; background: var(--tint);
  border: 1px solid var(--line); border-radius: .3rem; }
figure { margin: 1rem 0 .6rem; } figcaption { margin-bottom: .5rem; }
.plot { padding: 0 .5rem; }
svg { display: block; overflow: visible; font-size: 14px; margin-bottom: .6rem; }
svg text { fill: var(--ink); } svg .tick { fill: var(--soft); font-size: 12px; }
svg .head { font-weight: 700; } svg .said { fill: var(--soft); font-size: 13px; }
svg .label, svg .said, svg .head { paint-order: stroke; stroke: var(--paper); stroke-width: 5px;
  stroke-linejoin: round; }
svg .grid { stroke: var(--line); stroke-width: 1; }
svg .bar { stroke: var(--accent); stroke-width: 2; } svg .dot { fill: var(--accent); }
svg .grey { stroke: var(--soft); }
details { margin: .5rem 0; border: 1px solid var(--line); border-radius: .3rem; padding: 0 .7rem; }
summary { padding: .5rem 0; cursor: pointer; color: var(--accent); font-weight: 600; }
summary:focus-visible, a:focus-visible, .table:focus-visible { outline: 3px solid var(--accent);
  outline-offset: 2px; }
.table { overflow-x: auto; margin: .5rem 0 .8rem; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
caption { text-align: left; padding: .2rem 0; }
th, td { text-align: left; vertical-align: top; padding: .35rem .7rem .35rem .3rem;
  border-bottom: 1px solid var(--line); min-width: 5.5rem; }
th { font-weight: 600; } thead th { background: var(--tint); }
@media (max-width: 36rem) { th, td { padding-right: .4rem; font-size: .94em; } }
@media print {
  :root { color-scheme: light; --ink: #000000; --paper: #ffffff; --soft: #333333;
    --line: #888888; --tint: #f2f2f2; --accent: #123a5c; --warn: #5c1f05; --warn-tint: #ffffff; }
  @page { margin: 16mm; }
  body { font-size: 10pt; } header, main, nav, footer { max-width: none; padding: 0; }
  nav { display: none; }
  h2, h3, h4, figcaption, caption, summary { break-after: avoid; }
  svg, tr, li { break-inside: avoid; }
  details { border: 0; padding: 0; } summary { list-style: none; color: var(--ink); }
  details::details-content { content-visibility: visible; block-size: auto; height: auto; }
  .table { overflow: visible; }
}
"""
)
