import json

import pytest

from saerl_core.errors import BackendError
from saerl_core.training.openrlhf.loader import EVALUATION, CurriculumLoader, Place
from saerl_core.training.openrlhf.mailbox import Mailbox
from tests.training.openrlhf.jobs import make_job


class Rows:
    """What OpenRLHF's PromptDataset does with our file."""

    def __init__(self, ids):
        self.labels = list(ids)
        self.prompts = [f"text of {i}" for i in ids]

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, index):
        return "train", self.prompts[index], self.labels[index], None

    def collate_fn(self, item_list):
        sources, prompts, labels, images = zip(*item_list, strict=True)
        return list(sources), list(prompts), list(labels), list(images)


@pytest.fixture
def job(tmp_path):
    return make_job(tmp_path)


@pytest.fixture
def box(job):
    return Mailbox(job.mailbox_dir)


def loader_of(job, ids=("p0", "p1", "p2")):
    return CurriculumLoader(Rows(ids), Mailbox(job.mailbox_dir), job)


def send(box, *batches, first=0):
    for step, batch in enumerate(batches, first):
        box.send_batch(step, batch)


def test_yields_the_batches_one_prompt_at_a_time(job, box):
    send(box, ["p2", "p0"], ["p0", "p0"], ["p1", "p2"], [])
    got = list(loader_of(job))
    assert got[0] == (["train"], ["text of p2"], [json.dumps({"id": "p2", "step": 0, "slot": 0})], [None])
    assert [prompts for _, prompts, _, _ in got] == [[f"text of {p}"] for p in ("p2", "p0", "p0", "p0", "p1", "p2")]
    places = [Place.of(labels[0]) for _, _, labels, _ in got]
    assert [(p.step, p.slot) for p in places] == [(0, 0), (0, 1), (1, 0), (1, 1), (2, 0), (2, 1)]


def test_asks_for_a_batch_only_when_it_is_due(job, box):
    """The rewards of a batch must be able to decide the next one."""
    send(box, ["p2", "p0"])
    rows = iter(loader_of(job))
    next(rows), next(rows)
    box.send_batch(1, ["p1", "p1"])
    assert Place.of(next(rows)[2][0]).prompt_id == "p1"


def test_length_is_that_of_the_plan(job):
    assert len(loader_of(job)) == 6


def test_state_goes_on_at_the_next_batch(job, box, tmp_path):
    send(box, ["p0", "p1"], ["p2", "p1"])
    loader = loader_of(job)
    rows = iter(loader)
    assert loader.state_dict() == {"next_step": 0}
    next(rows), next(rows)
    assert loader.state_dict() == {"next_step": 1}
    later = make_job(tmp_path, first_step=1)
    resumed = loader_of(later)
    resumed.load_state_dict({"next_step": 1})
    assert Place.of(next(iter(resumed))[2][0]) == Place("p2", 1, 0)


def test_checkpoint_of_another_step_than_the_books_is_refused(tmp_path):
    loader = loader_of(make_job(tmp_path, first_step=1))
    with pytest.raises(BackendError, match=r"goes on at step 2, but the books of this job at step 1"):
        loader.load_state_dict({"next_step": 2})


def test_checkpoint_that_was_not_loaded_is_noticed_before_anything_is_asked(tmp_path):
    with pytest.raises(BackendError, match="begins at step 0, but the books go on at step 1"):
        iter(loader_of(make_job(tmp_path, first_step=1)))


@pytest.mark.parametrize(
    ("batches", "sentence"),
    [
        ([["p0", "nobody"]], r"prompt 'nobody' of step 0 is not among the 3 prompts of .*prompts\.jsonl"),
        ([["p0"]], "sent 1 prompts for step 0; the job has 3 steps of 2 prompts"),
        ([["p0", "p1", "p2"]], "sent 3 prompts for step 0"),
        ([["p0", "p1"]] * 4, "sent 2 prompts for step 3; the job has 3 steps"),
        ([["p0", "p1"]], "no batch for step 1 came"),
    ],
)
def test_what_is_no_batch_is_refused(job, box, batches, sentence):
    send(box, *batches)
    with pytest.raises(BackendError, match=sentence):
        list(loader_of(job))


def test_a_prompt_that_stands_twice_is_refused(job):
    with pytest.raises(BackendError, match="3 rows, but only 2 different prompt ids"):
        loader_of(job, ["p0", "p1", "p0"])


@pytest.mark.parametrize("prompt_id", ["p0", "7", '{"id": 1}', "null", '"a"', "[1, 2]", "ümlaut", ""])
def test_label_of_the_evaluation_is_the_bare_id(prompt_id):
    assert Place.of(prompt_id) == Place(prompt_id, EVALUATION, EVALUATION)


@pytest.mark.parametrize("prompt_id", ["p0", "7", 'quote " and \\', "{}"])
def test_label_comes_back(prompt_id):
    place = Place(prompt_id, 3, 1)
    assert Place.of(place.label()) == place


@pytest.mark.parametrize("label", [None, 3, ["a"], '{"id": "a", "step": null, "slot": 0}'])
def test_strange_labels_are_no_error(label):
    assert Place.of(label).step == EVALUATION
