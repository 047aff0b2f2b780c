"""How the page of a verdict looks: on a phone, on a desk, in the dark, on paper."""

from __future__ import annotations

from typing import Final

from grievance.markup import Style

CSS: Final = Style(
    """
:root { color-scheme: light dark; --ink: #1b1d21; --paper: #ffffff; --soft: #474c55;
  --line: #c9ced6; --tint: #f3f5f8; --pass: #0d5a25; --fail: #8f1d14; --untrusted: #704300;
  --incomplete: #1d4a75; }
@media (prefers-color-scheme: dark) { :root { --ink: #e8eaee; --paper: #15171b;
  --soft: #b0b6c0; --line: #444a54; --tint: #1f2329; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink);
  font: 1rem/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif; }
main { max-width: 62rem; margin: 0 auto; padding: 1rem; }
.verdict { padding: 1.1rem 1.25rem; border-radius: .5rem; color: #ffffff; }
.verdict.pass { background: var(--pass); } .verdict.fail { background: var(--fail); }
.verdict.untrusted { background: var(--untrusted); }
.verdict.incomplete { background: var(--incomplete); }
.verdict p { margin: .35rem 0 0; }
.word { font-weight: 700; letter-spacing: .08em; }
h1 { font-size: 1.5rem; line-height: 1.25; margin: .2rem 0 .4rem; }
h2 { font-size: 1.2rem; margin: 2.2rem 0 .5rem; padding-bottom: .25rem;
  border-bottom: 2px solid var(--line); }
h3 { font-size: 1.05rem; margin: 1.6rem 0 .3rem; }
h4 { font-size: .95rem; margin: .9rem 0 .1rem; }
p, ul { margin: .5rem 0; max-width: 46rem; }
.rule { margin: 1rem 0 1.6rem; padding: 0 1rem .6rem; border-left: .3rem solid var(--line); }
.rule.fault { border-color: var(--fail); }
.next { font-weight: 600; }
.soft, caption { color: var(--soft); }
code, .digest { font-family: ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace;
  font-size: .9em; overflow-wrap: anywhere; }
pre { white-space: pre-wrap; overflow-wrap: anywhere; font-size: .8em; padding: .5rem;
  border: 1px solid var(--line); }
.fingerprint { white-space: nowrap; font-size: .95em; }
.table { overflow-x: auto; margin: .75rem 0; }
table { border-collapse: collapse; width: 100%; }
caption { text-align: left; padding: .2rem 0; }
th, td { text-align: left; vertical-align: top; padding: .4rem .6rem .4rem 0;
  border-bottom: 1px solid var(--line); overflow-wrap: anywhere; }
th { font-weight: 600; } thead th { background: var(--tint); padding-left: .3rem; }
td, tbody th { padding-left: .3rem; min-width: 6.5rem; } tbody th { width: 36%; }
.rule tbody th { width: 52%; }
@media (max-width: 36rem) {
  main { padding: .6rem; }
  thead { position: absolute; clip-path: inset(50%); width: 1px; height: 1px; overflow: hidden; }
  tr { display: block; padding: .35rem 0; border-bottom: 1px solid var(--line); }
  tbody th, td { display: block; width: 100%; border: 0; padding: .1rem .2rem; }
  .fingerprint { white-space: normal; }
}
@media print {
  :root { --ink: #000000; --paper: #ffffff; --soft: #333333; --line: #888888; --tint: #eeeeee; }
  @page { margin: 16mm; }
  body { font-size: 10pt; } main { max-width: none; padding: 0; }
  .verdict { color: #000000; background: none !important; border: 2pt solid #000000; }
  h2, h3, h4, caption { break-after: avoid; } tr, li { break-inside: avoid; }
}
"""
)
