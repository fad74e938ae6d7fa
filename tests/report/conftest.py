"""A small evaluation, the pages made of it, and one browser for all tests."""

from __future__ import annotations

import shutil
import warnings
from pathlib import Path

import numpy as np
import pytest
from pictures import AWKWARD, HEIGHT, WIDTH
from PIL import Image

from pycodec import cli
from pycodec.evaluation.environment import environment
from pycodec.evaluation.quality import BUILT_IN
from pycodec.evaluation.report import write_report
from pycodec.evaluation.run import evaluate
from pycodec.evaluation.subject import load_subject
from pycodec.testing.samples import photo

SETTINGS = {"jpeg": (10, 40, 85), "webp": (5, 85), "ctx3d": (1, 3, 5), "cpm": (1, 5)}


@pytest.fixture(scope="session")
def images(tmp_path_factory) -> list[Path]:
    folder = tmp_path_factory.mktemp("images & <more>")
    found = []
    for seed, name in enumerate(("a.png", "b.png", AWKWARD)):
        path = folder / name
        Image.fromarray(photo(HEIGHT, WIDTH, seed)).save(path)
        found.append(path)
    return found


@pytest.fixture(scope="session")
def document(images, tmp_path_factory):
    """Results of two learned and two classical codecs on three pictures; one row is missing."""
    subjects = [load_subject(spec, list(settings)) for spec, settings in SETTINGS.items()]
    out = tmp_path_factory.mktemp("results")
    outcome = evaluate(images, subjects, list(BUILT_IN.values()), out, environment())
    assert not outcome.failures
    return outcome.document


@pytest.fixture(scope="session")
def report(images, document, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("report") / "report.html"
    write_report(document, images, out, shown=2, notes=['jpeg <script>alert("note")</script>'])
    return out


@pytest.fixture(scope="session")
def versions(images, tmp_path_factory) -> list[Path]:
    """A picture and four files of it: reference, .pci of two codecs, JPEG, and a PNG with transparency."""
    folder = tmp_path_factory.mktemp("versions")
    original = images[-1]
    found = [original]
    for codec in ("ctx3d", "cpm"):
        found.append(folder / f"{codec}.pci")
        assert cli.main(["compress", str(original), "-o", str(found[-1]), "--codec", codec]) == 0
    with Image.open(original) as image:
        found.append(folder / "low.jpg")
        image.save(found[-1], quality=8)
        image.putalpha(Image.fromarray(np.full((HEIGHT, WIDTH), 200, np.uint8)))
        found.append(folder / "veiled.png")
        image.save(found[-1])
    return found


@pytest.fixture(scope="session")
def comparison(versions, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("comparison") / "compare.html"
    names = [str(path) for path in versions]
    assert cli.main(["compare", *names, "-o", str(out), "--no-open"]) == 0
    return out


@pytest.fixture(scope="session")
def view(versions, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("view") / "view.html"
    arguments = ["view", str(versions[2]), "--original", str(versions[0]), "-o", str(out), "--no-open"]
    assert cli.main(arguments) == 0
    return out


@pytest.fixture(scope="session")
def browser():
    program = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if program is None:
        pytest.skip("no Chromium on PATH")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of playwright's own event loop
        sync_api = pytest.importorskip("playwright.sync_api")
    with sync_api.sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield opened
        opened.close()


class Visit:
    """A page that is open, and everything it asked for or complained about."""

    def __init__(self, browser, path: Path, anchor: str = "", **options):
        self.context = browser.new_context(**{"viewport": {"width": 1100, "height": 900}, **options})
        self.page = self.context.new_page()
        self.requests: list[str] = []
        self.complaints: list[str] = []
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.address = path.as_uri()
        self.page.goto(self.address + anchor)

    def style(self, selector: str, name: str) -> str:
        script = "([selector, name]) => getComputedStyle(document.querySelector(selector))[name]"
        return self.page.evaluate(script, [selector, name])


@pytest.fixture
def visit(browser):
    """Opens a page; at the end, it must have been silent and have fetched nothing but itself."""
    visits = []

    def visit(path: Path, anchor: str = "", **options) -> Visit:
        visits.append(Visit(browser, path, anchor, **options))
        return visits[-1]

    yield visit
    for one in visits:
        asked = {url.partition("#")[0] for url in one.requests if not url.startswith("data:")}
        one.context.close()
        assert asked == {one.address}
        assert one.complaints == []
