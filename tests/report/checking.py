"""Reads a rendered page back: is it well-formed, what does it show, what would it load."""

from dataclasses import dataclass, field
from html.parser import HTMLParser

VOID = {"meta", "link", "br", "img", "hr", "input"}
SECTIONS = (
    "headline",
    "data",
    "policy",
    "sae",
    "probes",
    "clusters",
    "difficulty",
    "plan",
    "training",
    "evaluation",
    "costs",
    "appendix",
)


@dataclass
class Page(HTMLParser):
    """What the parser found; `errors` is empty for a well-formed page."""

    errors: list[str] = field(default_factory=list)
    sections: list[str] = field(default_factory=list)
    charts: list[tuple[str, int]] = field(default_factory=list)  # (label, declared number of data points)
    marks: dict[str, int] = field(default_factory=dict)  # label of the chart -> drawn shapes
    addresses: list[str] = field(default_factory=list)  # every href and src
    tags: list[str] = field(default_factory=list)
    ids: set[str] = field(default_factory=set)
    scripts: list[str] = field(default_factory=list)  # the code of every script that runs
    specs: list[str] = field(default_factory=list)  # the JSON of every live chart
    texts: dict[str, str] = field(default_factory=dict)  # section -> its text
    stack: list[str] = field(default_factory=list)
    kinds: list[str] = field(default_factory=list)  # the type of each script

    def __post_init__(self) -> None:
        super().__init__(convert_charrefs=True)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.tags.append(tag)
        if tag == "script":
            self.kinds.append(found.get("type") or "")
        if tag not in VOID:
            self.stack.append(tag)
        self.addresses += [str(found[name]) for name in ("href", "src") if name in found]
        if found.get("id"):
            self.ids.add(str(found["id"]))
        if tag == "section":
            self.sections.append(str(found["id"]))
        if tag == "svg":
            self.charts.append((str(found["aria-label"]), int(str(found["data-points"]))))
        elif self.charts and "svg" in self.stack and tag in {"rect", "path", "line", "text"}:
            label = self.charts[-1][0]
            self.marks[label] = self.marks.get(label, 0) + (found.get("class") != "background")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag in VOID:
            return
        if not self.stack or self.stack[-1] != tag:
            self.errors.append(f"</{tag}> closes {self.stack[-1:]} in line {self.getpos()[0]}")
        if tag in self.stack:
            while self.stack.pop() != tag:
                pass

    def handle_data(self, data: str) -> None:
        if self.stack and self.stack[-1] == "script":
            is_data = self.kinds[-1] == "application/json"
            (self.specs if is_data else self.scripts).append(data)
        elif self.sections and "main" in self.stack:
            self.texts[self.sections[-1]] = self.texts.get(self.sections[-1], "") + data


def read(html: str) -> Page:
    """Parse a page; what is still open at its end is an error."""
    page = Page()
    page.feed(html)
    page.close()
    if page.stack:
        page.errors.append(f"never closed: {page.stack}")
    return page
