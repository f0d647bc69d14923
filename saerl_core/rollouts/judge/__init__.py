"""Reads answers strictly and compares what they say: no guess where reading fails.

`extraction` finds the answer of a completion, with what stands around it: `surroundings`, `runs` and `behind` for a
box, `last` for a number without any mark, `doubts` for words that change it or take it back. `folding` and `lexing`
bring it into one alphabet; `structures` reads it whole or refuses, with `expressions`, `quantities`, `relations` and
`scalars`; `evaluating` and `comparing` decide exactly or with high precision; `agreement` sets every reading of one
side against those of the other; `judge` puts these together.
Only the standard library and mpmath are used, and every step is bounded.
"""
