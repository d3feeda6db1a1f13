"""The page that ``conntra report`` writes, piece by piece: the verdict, the spike explorer, the evidence.

Charts are HTML and SVG without style attributes, so that the page's Content-Security-Policy can forbid everything that
is not in the file; colours come from ``page.css``, which knows light, dark and paper.
"""
