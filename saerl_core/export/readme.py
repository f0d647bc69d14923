"""The page of an exported folder."""

from saerl_core.export.formats import FORMATS
from saerl_core.export.logs import LOGS
from saerl_core.export.records import Format, PlanExport


def readme(form: Format, plan: PlanExport) -> str:
    """Return ten lines: what is in the folder, how to start, what breaks the order, how rewards come back."""
    size = plan.prompts_per_step
    lines = [
        f"# A plan of saerl for {form.title}",
        "",
        f"Strategy {plan.strategy}, {plan.n_steps} steps of {size} prompts, {plan.order} order; plan "
        f"`{plan.plan_hash[:16]}`. Rows {size}*i to {size}*i + {size - 1} of `{form.data}` are step i; `plan.json` "
        "names step, slot and prompt_id of every row.",
        "",
        f"- **Start**: {form.start}",
        f"- **The order is kept by** {form.keeps}.",
        f"- **What breaks it**: {form.breaks}",
        f"- **Rewards**: {form.feedback} {_home(form)}",
        f"- **Prompts**: {_prompts(plan)}",
        f"- **Checked**: {form.ran}.",
    ]
    return "\n".join(lines) + "\n"


def _home(form: Format) -> str:
    """Say how rewards become pass rates for the next plan."""
    has_reader = form in {FORMATS[name] for name in LOGS}
    how = "" if has_reader else " with `--format jsonl`, from lines with step (counted from 0), prompt_id and reward,"
    return f"`saerl observe LOG --plan THIS_FOLDER`{how} makes them pass rates for the next plan."


def _prompts(plan: PlanExport) -> str:
    if plan.in_chat:
        system = "" if plan.system_prompt is None else ", with the policy's system message"
        return f"chat messages for the model's own template{system}; the suffix of the policy's format is in the text."
    if plan.is_plain:
        return "plain text, read without a chat template; the suffix of the policy's format is in the text."
    return (
        "the text as it was loaded. Nobody said how the model reads prompts: for a model that was tuned for chat, "
        "export with a chat template."
    )
