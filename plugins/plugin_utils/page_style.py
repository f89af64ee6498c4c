# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How the HTML report looks: on a desk and on a phone, light and dark, and on paper.

A text's colour has a contrast of at least 4.5 with what is behind it. Tables and pictures that are wider than the screen
scroll in their own box.
"""

STYLE = """\
:root { color-scheme: light dark; --ink: #1f2328; --card: #ffffff; --soft: #f3f5f7; --rule: #c8ced4; --link: #0550ae; --strong: #0b3d91; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6edf3; --card: #0d1117; --soft: #1a2029; --rule: #3a424c; --link: #79c0ff; --strong: #a5d1ff; }
  svg [fill="#0072b2"] { fill: #4aa8e0; }
  svg [stroke="#0072b2"] { stroke: #4aa8e0; }
}
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; text-size-adjust: 100%; }
body { margin: 0; background: var(--card); color: var(--ink); font: 1rem/1.5 system-ui, sans-serif; }
main { max-width: 62rem; margin: 0 auto; padding: 1rem; overflow-wrap: anywhere; }
h1, h2, h3, h4 { line-height: 1.25; margin: 2rem 0 0.75rem; }
h1 { font-size: 1.6rem; margin-top: 0.5rem; }
h2 { font-size: 1.3rem; border-bottom: 1px solid var(--rule); padding-bottom: 0.25rem; }
h3 { font-size: 1.1rem; }
.answer { background: var(--soft); border-left: 0.3rem solid var(--strong); padding: 0.8rem 1rem; font-size: 1.1rem; }
.answer strong { color: var(--strong); }
a { color: var(--link); }
code { font: 0.9em/1.4 ui-monospace, monospace; background: var(--soft); padding: 0.1em 0.25em; border-radius: 0.2em; }
.box { overflow-x: auto; margin: 1rem 0; }
.box:focus-visible { outline: 2px solid var(--link); }
table { border-collapse: collapse; font-size: 0.9rem; font-variant-numeric: tabular-nums; }
th, td { border: 1px solid var(--rule); padding: 0.3rem 0.6rem; text-align: left; vertical-align: top; overflow-wrap: normal; }
th { background: var(--soft); }
td code { white-space: nowrap; }
figure.box { border: 1px solid var(--rule); border-radius: 0.3rem; }
figure svg { display: block; width: 100%; min-width: 30rem; max-width: 48rem; height: auto; margin: 0 auto; }
svg .ink { fill: var(--ink); }
svg .line { stroke: var(--ink); }
svg .card { fill: var(--card); }
@media print {
  :root { color-scheme: light; --ink: #000000; --card: #ffffff; --soft: #f3f5f7; --rule: #999999; --link: #000000; --strong: #000000; }
  @page { margin: 15mm; }
  body { font-size: 10pt; }
  main { max-width: none; padding: 0; }
  .box { overflow: visible; }
  table { font-size: 8pt; }
  td code { white-space: normal; overflow-wrap: anywhere; }
  h2, h3 { break-after: avoid; }
  figure, tr { break-inside: avoid; }
  figure svg { min-width: 0; }
}
"""
