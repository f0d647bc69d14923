"""One whole run of the embedded backend with secrets in its environment and a hostile pool: where either turns up."""

import base64
import html
import os
import subprocess
import sys
import urllib.parse
from pathlib import Path

import pytest
import yaml

from saerl_core.report.vega import scripts
from tests.pipelines.small import SMALL
from tests.report.checking import read
from tests.security.hostile import CANARY, save_byte_policy, write_pool
from tests.zenml_fixtures import OUR_WARNINGS_ARE_ERRORS

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent
SECRETS = {
    name: f"planted-{number}-{name.lower()}"
    for number, name in enumerate(
        (
            "MLFLOW_TRACKING_PASSWORD",
            "MLFLOW_TRACKING_TOKEN",
            "HF_TOKEN",
            "ZENML_STORE_API_KEY",
            "AWS_ACCESS_KEY_ID",
            "AWS_SECRET_ACCESS_KEY",
            "WANDB_API_KEY",
            "GITHUB_TOKEN",
        )
    )
}
USER = {"MLFLOW_TRACKING_USERNAME": "planted-user"}  # a name, which MLflow writes into the run on purpose
pytestmark = [pytest.mark.slow, *OUR_WARNINGS_ARE_ERRORS]


class Finished:
    """The state folder of the run, everything that its commands said, and the folder they ran beside."""

    def __init__(self, folder: Path) -> None:
        self.home, self.canary, self.said = folder / "home", folder / CANARY, ""
        write_pool(folder / "pool.jsonl", self.canary)
        write_pool(folder / "held_out.jsonl", self.canary, start=1000)
        save_byte_policy(folder / "policy")
        run_file = folder / "run.yaml"
        run_file.write_text(yaml.safe_dump({"parameters": _parameters(folder)}))
        clean = {k: v for k, v in os.environ.items() if not k.startswith(("ZENML_", "MLFLOW_"))}
        path = os.pathsep.join([str(BIN), os.environ["PATH"]])
        self.environment = {**clean, "SAERL_HOME": str(self.home), "HOME": str(folder), "PATH": path, **USER, **SECRETS}
        for command in ("setup", "validate -c", "show-config -c", "run -c", "where"):
            self.call("-m", "pipelines", *command.split(), *([str(run_file)] if "-c" in command else []))

    def call(self, *arguments: str) -> None:
        done = subprocess.run(
            [sys.executable, *arguments], cwd=ROOT, env=self.environment, capture_output=True, timeout=600, check=False
        )
        said = (done.stdout + done.stderr).decode(errors="replace")
        assert done.returncode == 0, said[-4000:]
        self.said += said

    def pages(self) -> dict[str, str]:
        """Return every HTML file of the run: the report, its copies in both stores, the artifacts' cards."""
        return {str(f.relative_to(self.home)): f.read_text() for f in self.home.rglob("*.html")}


def _parameters(folder):
    held_out = {"eval_path": str(folder / "held_out.jsonl")}
    return {
        **{k: v for k, v in SMALL.items() if k not in ("prompts", "policy")},
        "prompts": {"source": "file", "path": str(folder / "pool.jsonl"), **held_out},
        "policy": {"source": "pretrained", "model": str(folder / "policy")},
        "sae": {**SMALL["sae"], "train_tokens": 5000},
        **{
            name: {**SMALL.get(name, {}), "max_completion_tokens": 24}
            for name in ("pass_rates", "training", "evaluation")
        },
        "grading": {"kind": "exact"},
    }


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    return Finished(tmp_path_factory.mktemp("hostile"))


def _spellings(secret):
    """The secret as it is, and as the usual ways of writing it down would have it."""
    return {
        text.encode()
        for text in (
            secret,
            urllib.parse.quote(secret, safe=""),
            base64.b64encode(secret.encode()).decode().rstrip("="),
            base64.b64encode(f"{USER['MLFLOW_TRACKING_USERNAME']}:{secret}".encode()).decode().rstrip("="),
        )
    }


def test_the_run_went_through_every_stage(finished):
    files = {f.name for f in finished.home.rglob("*") if f.is_file()}
    assert {"mlflow.db", "report.html", "plan.parquet", "model.safetensors", "config.json"} <= files
    assert any(f.suffix == ".db" and "zenml" in f.parts for f in finished.home.rglob("*"))
    assert "Planned order was trained: 4 of 4 batches identical." in finished.said
    assert "Traceback" not in finished.said


@pytest.mark.parametrize("name", SECRETS)
def test_a_secret_is_in_no_file_and_no_line(finished, name):
    spellings = _spellings(SECRETS[name])
    assert not [s for s in spellings if s in finished.said.encode()]
    files = {f: f.read_bytes() for f in finished.home.rglob("*") if f.is_file()}
    assert len(files) > 100
    assert [str(f) for f, content in files.items() if any(s in content for s in spellings)] == []


def test_the_search_would_find_it(finished):
    """What the run does write down is found by the same search."""
    written = b"exact"  # grading.kind
    assert any(written in f.read_bytes() for f in finished.home.rglob("*.db"))
    assert any(CANARY.encode() in f.read_bytes() for f in finished.home.rglob("report.html"))


def test_nothing_of_the_pool_was_executed(finished):
    assert not finished.canary.exists()
    assert not list(ROOT.glob(f"*{CANARY}*"))


def test_markup_of_the_pool_is_text_on_every_page(finished):
    pages = finished.pages()
    assert "report.html" in pages
    assert sum(name.endswith("card.html") for name in pages) > 5
    drawing = scripts().code  # of the charts, which the page's policy names by its hash
    for name, page in ((name, page.replace(drawing, "")) for name, page in pages.items()):
        found = read(page)
        assert found.scripts in ([], [""]), name
        assert not {"img", "iframe", "object"} & set(found.tags), name
        assert not any(address.strip().lower().startswith("javascript") for address in found.addresses), name
        for raw in ("<script>document", "<img src=x", "<svg onload", "<b>bold", '<a href="javascript'):
            assert raw not in page, (name, raw)


def test_the_report_shows_the_pool_as_it_is(finished):
    page = html.unescape(finished.pages()["report.html"])
    assert "<script>document.title=" in page
    assert "{{ 7*7 }}" in page, "no template engine read it"
