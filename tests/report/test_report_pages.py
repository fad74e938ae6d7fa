"""Report, comparison and view as a reader meets them, in a real browser."""

from __future__ import annotations

import io
import re

import numpy as np
import pytest
from pictures import AWKWARD, HEIGHT, WIDTH
from PIL import Image

PAGES = ("report", "comparison", "view")


@pytest.fixture(params=PAGES)
def path(request):
    return request.getfixturevalue(request.param)


def pixels(locator) -> np.ndarray:
    """What is drawn, [H, W, 3]."""
    with Image.open(io.BytesIO(locator.screenshot())) as image:
        return np.asarray(image.convert("RGB")).astype(int)


def difference(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """By column: the share of pixels that differ visibly."""
    return (np.abs(a - b).max(2) > 8).mean(0)


def test_every_picture_loads_and_nothing_is_fetched(path, visit):
    page = visit(path).page
    page.wait_for_load_state("load")
    widths = page.evaluate(
        "Promise.all([...document.images].map(i => i.decode().then(() => i.naturalWidth)))"
    )
    assert len(widths) > 10
    assert min(widths) > 0


def test_a_script_of_others_is_refused(report, tmp_path, browser):
    """The policy of the page stands in for what escaping may ever miss."""
    text = report.read_text("utf-8")
    changed = tmp_path / "changed.html"
    extra = '<script>document.title = "mine"</script><img src="https://127.0.0.1:9/x.png">'
    changed.write_text(text.replace("</main>", extra + "</main>"), "utf-8")
    page = browser.new_page()
    refused = []
    page.on("console", lambda message: refused.append(message.text))
    page.goto(changed.as_uri())
    assert page.title() != "mine"
    assert len([line for line in refused if "Content Security Policy" in line]) == 2
    page.close()


@pytest.mark.parametrize("how", ["mouse", "touch", "keys"])
def test_the_slider_uncovers_the_left_version(how, comparison, visit):
    one = visit(comparison, has_touch=how == "touch")
    page, stage = one.page, one.page.locator(".stage")
    slider = stage.locator("input")
    page.locator("select.left").select_option(label="low.jpg")
    page.locator("select.right").select_option(label=AWKWARD)
    stage.scroll_into_view_if_needed()
    before = pixels(stage)
    assert slider.input_value() == "50"
    box = stage.bounding_box()
    y, start, end = box["y"] + box["height"] * 0.8, box["x"] + box["width"] / 2, box["x"] + box["width"] * 0.9
    if how == "mouse":
        page.mouse.move(start, y)
        page.mouse.down()
        page.mouse.move((start + end) / 2, y)
        page.mouse.move(end, y)
        page.mouse.up()
    elif how == "touch":
        touch = one.context.new_cdp_session(page)
        for kind, x in (("touchStart", start), ("touchMove", (start + end) / 2), ("touchMove", end)):
            touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [{"x": x, "y": y}]})
        touch.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    else:
        slider.focus()
        for _ in range(40):
            page.keyboard.press("ArrowRight")
    assert 88 <= int(slider.input_value()) <= 91
    assert re.match(r"(8|9)\d % low.jpg", slider.get_attribute("aria-valuetext"))
    page.evaluate("document.activeElement.blur()")
    changed = difference(before, pixels(stage))
    width = len(changed)
    assert changed[int(0.55 * width) : int(0.85 * width)].mean() > 0.3  # the JPEG is there now
    assert changed[: int(0.45 * width)].max() == 0  # and was here before
    assert changed[int(0.95 * width) :].mean() < 0.1  # but for its label, the right is still the right


def test_home_and_end_show_one_version_alone(comparison, visit):
    page = visit(comparison).page
    slider = page.locator(".stage input")
    slider.focus()
    page.keyboard.press("Home")
    assert slider.input_value() == "0"
    page.keyboard.press("End")
    assert slider.input_value() == "100"


def test_swapping_mirrors_the_picture_and_its_captions(comparison, visit):
    page = visit(comparison).page
    page.locator("select.right").select_option(label="low.jpg")
    captions = page.locator(".caption-left"), page.locator(".caption-right")
    texts = [caption.inner_text() for caption in captions]
    assert "low.jpg" in texts[1] and "PSNR" in texts[1]
    page.get_by_role("button", name="Swap left and right").click()
    assert [caption.inner_text() for caption in captions] == texts[::-1]


def test_zoom_is_exact_pixels_and_can_be_moved(comparison, visit):
    page = visit(comparison).page
    stage, image = page.locator(".stage"), page.locator(".stage .under img")
    stage.scroll_into_view_if_needed()
    page.get_by_role("button", name="4×").click()
    assert image.bounding_box()["width"] == pytest.approx(4 * WIDTH)
    assert image.evaluate("i => getComputedStyle(i).imageRendering") == "pixelated"
    before = image.bounding_box()
    box = stage.bounding_box()
    x, y = box["x"] + box["width"] * 0.8, box["y"] + box["height"] / 2  # away from the divider
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x - 60, y - 40)
    page.mouse.up()
    moved = image.bounding_box()
    assert (moved["x"] - before["x"], moved["y"] - before["y"]) == pytest.approx((-60, -40), abs=1)
    page.keyboard.press("Shift+ArrowLeft")
    assert image.bounding_box()["x"] > moved["x"]
    page.keyboard.press("0")
    assert image.bounding_box()["width"] == pytest.approx(box["width"], abs=1)
    assert page.locator(".stage input").input_value() == "50"


def test_crops_move_together(comparison, visit):
    page = visit(comparison).page
    crops = page.locator(".version:not(.map) .window img")
    assert crops.count() == 5
    strip = page.locator(".versions")
    strip.focus()
    for key in ("ArrowUp", "ArrowLeft"):
        for _ in range(30):
            page.keyboard.press(key)
    frames = [crop.evaluate("i => [i.offsetLeft, i.offsetTop]") for crop in crops.all()]
    assert all(frame == [0, 0] for frame in frames)
    page.keyboard.press("ArrowRight")
    after = [crop.evaluate("i => i.offsetLeft") for crop in crops.all()]
    assert len(set(after)) == 1 and after[0] < 0


def test_the_gallery_shows_one_picture_and_follows_links_and_keys(report, visit):
    page = visit(report).page
    first, second = page.locator("#image-1"), page.locator("#image-2")
    assert page.locator(".gallery .scene").count() == 2
    assert first.is_visible() and not second.is_visible()
    page.locator(".thumbnails a").nth(1).click()
    second.wait_for(state="visible")
    assert not first.is_visible()
    assert page.locator(".thumbnails a[aria-current=true]").count() == 1
    page.keyboard.press("ArrowLeft")
    first.wait_for(state="visible")
    assert page.url.endswith("#image-1") and not second.is_visible()
    first.locator(".stage input").focus()
    page.keyboard.press("ArrowRight")  # the slider's now
    assert first.locator(".stage input").input_value() == "51"
    assert first.is_visible()
    second = visit(report, "#image-2").page.locator("#image-2")
    assert second.is_visible()


def test_points_tell_their_values(report, document, visit):
    page = visit(report).page
    figure = page.locator(".charts .chart").first
    first, tip = figure.locator("[data-series='0'] .point").first, figure.locator(".tip")
    point = document["mean_points"]["ctx3d"][0]
    expected = f"ctx3d, setting 1: {point['bpp']:.3f} bpp, {point['psnr']:.2f} dB"
    first.hover()
    assert tip.inner_text() == expected
    page.mouse.move(2, 2)
    assert not tip.is_visible()
    first.focus()
    page.keyboard.press("ArrowRight")
    assert tip.inner_text().startswith("ctx3d, setting 3: ")
    page.keyboard.press("ArrowDown")
    assert not tip.inner_text().startswith("ctx3d")
    assert figure.locator(".point[tabindex='0']").count() == 1


def test_the_legend_hides_a_codec_in_every_figure(report, visit):
    page = visit(report).page
    lines = page.locator(".figure .line[data-series='1']")
    assert lines.count() == 4 and lines.first.is_visible()
    button = page.locator(".legend button").nth(1)
    button.click()
    assert button.get_attribute("aria-pressed") == "false"
    assert not lines.first.is_visible()
    button.click()
    assert lines.first.is_visible()


def test_colours_and_motion_follow_the_system_and_colours_the_switch(report, visit):
    colours = {}
    for scheme, motion in (("light", "reduce"), ("dark", "no-preference")):
        one = visit(report, color_scheme=scheme, reduced_motion=motion)
        assert one.style("html", "scrollBehavior") == ("auto" if motion == "reduce" else "smooth")
        colours[scheme] = [one.style("html", "backgroundColor"), one.style(".figure .line path", "stroke")]
        switch = one.page.locator(".theme")
        assert switch.inner_text() == "Theme: auto"
        switch.click()
        colours[scheme, "light"] = one.style("html", "backgroundColor")
        switch.click()
        colours[scheme, "dark"] = one.style("html", "backgroundColor")
    assert all(light != dark for light, dark in zip(colours["light"], colours["dark"], strict=True))
    assert colours["dark", "light"] == colours["light", "light"] == colours["light"][0]
    assert colours["light", "dark"] == colours["dark", "dark"] == colours["dark"][0]


def test_a_phone_needs_no_scrolling_sideways(path, visit):
    page = visit(path, viewport={"width": 360, "height": 740}, has_touch=True, is_mobile=True).page
    open_details(page)
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    assert page.evaluate("[innerWidth, visualViewport.scale]") == [360, 1]


NUMBER_CONTROLS = """() => {
  const controls = [...document.querySelectorAll(
    "button, select, input, a[href], summary, .crops, .point[tabindex='0']"
  )].filter((control) => control.checkVisibility());
  controls.forEach((control, number) => { control.dataset.number = number; });
  return controls.length;
}"""


@pytest.mark.parametrize("name", ["report", "view"])
def test_tab_reaches_every_control(name, request, visit):
    page = visit(request.getfixturevalue(name)).page
    count = page.evaluate(NUMBER_CONTROLS)
    assert count > 10
    reached = set()
    for _ in range(count + 12):  # tables that scroll are stops too
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.dataset.number"))
    assert reached - {None} == {str(number) for number in range(count)}


def open_details(page) -> None:
    """Open what is folded away."""
    page.evaluate("document.querySelectorAll('details').forEach((details) => { details.open = true; })")


@pytest.mark.parametrize(("name", "scheme"), [("report", "light"), ("report", "dark"), ("view", "dark")])
def test_names_roles_and_contrast(name, scheme, request, visit):
    """axe-core, whose script is part of the package: WCAG A and AA."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    path = request.getfixturevalue(name)
    page = visit(path, color_scheme=scheme, reduced_motion="reduce", bypass_csp=True).page
    open_details(page)
    found = axe.Axe().run(page).response["violations"]
    assert [(v["id"], [node["html"][:120] for node in v["nodes"][:3]]) for v in found] == []


def test_without_script_there_are_curves_tables_and_whole_pictures(report, visit):
    page = visit(report, java_script_enabled=False).page
    assert not page.locator(".viewer").first.is_visible()
    assert not page.locator(".theme").is_visible()
    assert page.locator(".charts .figure .line").count() == 8
    assert page.locator("#bd-rate table").first.is_visible()
    pictures = page.locator("#image-2 .version:not(.map) img")
    assert pictures.count() == 5
    box = pictures.first.bounding_box()
    assert box["width"] / box["height"] == pytest.approx(WIDTH / HEIGHT, abs=0.02)
