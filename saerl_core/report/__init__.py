"""The page that a person reads: one self-contained HTML file made of all records of a run."""
