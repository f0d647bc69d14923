"""Cases that are written down as tables: gold answers, each with completions separated by `;;`."""


def rows(table: dict[str, dict[str, str]]) -> list[tuple[str, str]]:
    return [
        (gold, text.strip()) for golds in table.values() for gold, texts in golds.items() for text in texts.split(";;")
    ]
