"""What a person writes: `run` is the whole, section by section; `load` reads it, `checks` refuse what cannot work."""
