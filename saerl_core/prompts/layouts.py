r"""Layouts of prompt files, one row each: which columns hold prompt, answer and the rest.

A layout is recognised by the columns of the first readable row, in the order of the table, unless a person names the
prompt's or the answer's column. Values need no layout of their own: chat messages, lists of one answer, options and
nested columns are read wherever they stand (`columns`, `messages`, `fields`).
"""

from collections.abc import Mapping
from dataclasses import dataclass

from saerl_core.config.run import ColumnMap
from saerl_core.prompts.fields import at_path, has

IN_THE_END = "auto"  # the answer ends a worked solution: behind ####, in the last box, or it is the whole short text
IN_A_BOX = "\\boxed"


@dataclass(frozen=True)
class Layout:
    """One layout: the paths that a row must have, what they mean, and where in its column the answer stands."""

    name: str
    needs: tuple[str, ...]
    columns: Mapping[str, str]
    answer_after: str | None = None
    without: tuple[str, ...] = ()
    marker: str | None = None  # what the answer's text must hold

    def fits(self, values: Mapping[str, object]) -> bool:
        """Tell whether a row is of this layout."""
        if any(at_path(values, path) is None for path in self.needs) or any(has(values, p) for p in self.without):
            return False
        return self.marker is None or self.marker in str(at_path(values, self.columns["answer"]))

    def mapped(self, columns: ColumnMap) -> ColumnMap:
        """Return the columns of the layout; what a person wrote stays."""
        written = {name: getattr(columns, name) for name in columns.model_fields_set}
        return ColumnMap.model_validate({**dict(ColumnMap()), **self.columns, **written})


def _q(prompt: str, answer: str, **others: str) -> dict[str, str]:
    return {"prompt": prompt, "answer": answer, **others}


PLAIN = Layout("prompt and answer", ("prompt", "answer"), _q("prompt", "answer"))
AS_WRITTEN = Layout("columns as configured", (), {})

LAYOUTS: tuple[Layout, ...] = (
    # conversations as rows
    Layout(
        "Open-Reasoner-Zero",
        ("conversation.-1.ground_truth.value",),
        _q("conversation", "conversation.-1.ground_truth.value"),
    ),
    Layout("conversation", ("conversation",), _q("conversation", "conversation"), IN_THE_END),
    # verl and its data sets
    Layout(
        "Skywork-OR1",
        ("prompt", "reward_model.ground_truth", "extra_info.model_difficulty"),
        _q("prompt", "reward_model.ground_truth", topic="data_source"),
    ),
    Layout("verl", ("prompt", "reward_model.ground_truth"), _q("prompt", "reward_model.ground_truth", topic="ability")),
    # data sets of the Hub, by their cards
    Layout("NuminaMath-1.5", ("problem", "answer", "problem_type"), _q("problem", "answer", topic="problem_type")),
    Layout(
        "Big-Math",
        ("problem", "answer", "llama8b_solve_rate"),
        _q("problem", "answer", topic="domain", pass_rate="llama8b_solve_rate"),  # noqa: S106 (a column)
    ),
    Layout(
        "DeepMath-103K",
        ("question", "final_answer", "difficulty"),
        _q("question", "final_answer", topic="topic", level="difficulty"),
    ),
    Layout("OlympiadBench", ("question", "final_answer", "subfield"), _q("question", "final_answer", topic="subfield")),
    Layout("MATH-500", ("problem", "answer", "subject"), _q("problem", "answer", topic="subject")),
    Layout("MATH", ("problem", "solution", "type"), _q("problem", "solution", topic="type"), IN_A_BOX, ("answer",)),
    Layout("GSM8K", ("question", "answer"), _q("question", "answer"), "####", marker="####"),
    Layout("GSM8K, column prompt", ("prompt", "answer"), _q("prompt", "answer"), "####", marker="####"),
    Layout("ARC", ("question", "choices.text", "answerKey"), _q("{question}\n{choices}", "answerKey")),
    Layout("MMLU", ("question", "choices", "answer"), _q("{question}\n{choices}", "answer", topic="subject")),
    Layout("AQuA", ("question", "options", "correct"), _q("{question}\n{options}", "correct")),
    Layout("SVAMP", ("Body", "Question", "Answer"), _q("{Body} {Question}", "Answer", topic="Type")),
    # question in two columns
    *(
        Layout(f"{q} with {o}", (q, o, "answer"), _q(f"{{{q}}}\n{{{o}}}", "answer"))
        for q in ("prompt", "problem", "question")
        for o in ("options", "choices")
    ),
    *(
        Layout(f"body and {question}", ("body", question, "answer"), _q(f"{{body}} {{{question}}}", "answer"))
        for question in ("question", "prompt", "problem")
    ),
    *(
        Layout(f"{text} and question", (text, "question", "answer"), _q(f"{{{text}}}\n\n{{question}}", "answer"))
        for text in ("context", "passage", "article")
    ),
    Layout("Question with Options", ("Question", "Options", "Answer"), _q("{Question}\n{Options}", "Answer")),
    # one text each
    PLAIN,
    *(
        Layout(f"{prompt} and {answer}", (prompt, answer), _q(prompt, answer))
        for prompt in ("prompt", "problem", "question", "input", "query", "instruction")
        for answer in ("answer", "final_answer", "expected_answer", "ground_truth", "label", "gold", "target")
    ),
    *(
        Layout(f"{turns} and {answer}", (turns, answer), _q(turns, answer))
        for turns in ("messages", "conversations")
        for answer in ("ground_truth", "answer", "label", "gold")
    ),
    *(
        Layout(f"{prompt} and {answer}", (prompt, answer), _q(prompt, answer))
        for prompt in ("Problem", "Question", "Prompt")
        for answer in ("Answer", "answer")
    ),
    # answers at the end of a worked solution
    Layout("TRL messages", ("messages",), _q("messages", "messages"), IN_THE_END),
    Layout("ShareGPT", ("conversations",), _q("conversations", "conversations"), IN_THE_END),
    *(
        Layout(f"{prompt} and {answer}", (prompt, answer), _q(prompt, answer), IN_THE_END)
        for prompt in ("prompt", "problem", "question", "instruction", "query", "input")
        for answer in ("completion", "solution", "response", "output")
    ),
)


def recognise(values: Mapping[str, object], columns: ColumnMap) -> Layout:
    """Return the layout of a row; what a person names explicitly is no matter of recognition."""
    if {"prompt", "answer"} & columns.model_fields_set:
        return AS_WRITTEN
    return next((layout for layout in LAYOUTS if layout.fits(values)), AS_WRITTEN)


def recognise_prompt(values: Mapping[str, object], columns: ColumnMap) -> str | None:
    """Return the name of the prompt in a row that needs no answer: of its layout, the mapped or a usual column."""
    if "prompt" not in columns.model_fields_set or not has(values, columns.prompt):
        layout = next((layout for layout in LAYOUTS if layout.fits(values)), None)
        if layout is not None:
            return layout.columns["prompt"]
    usual = (columns.prompt, "prompt", "problem", "question", "input", "messages", "conversations", "conversation")
    return next((name for name in usual if at_path(values, name) is not None), None)
