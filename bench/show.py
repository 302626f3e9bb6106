# SPDX-License-Identifier: GPL-2.0-only
"""How large step-through pages are, and how soon they are seen: ``python -m bench.show``.

Needs Chromium and its driver. Each page is opened from disk several times in a browser with an
empty cache; the medians are of performance.getEntriesByType("paint") and of the time until the
page's own script has drawn the picture.
"""

from __future__ import annotations

import shutil
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from campaign.show_histories import histories, teller_of
from model.kernels import NEWEST
from report.show.page import About, show_page
from strategies.mix import generate
from strategies.trace import Trace

STEPS = (10, 50, 100, 1_000)
RUNS = 7
_SEED = 1
_PAINTED = """
const [paint] = performance.getEntriesByName("first-contentful-paint");
const [page] = performance.getEntriesByType("navigation");
return paint && page.loadEventEnd ? [paint.startTime, page.domContentLoadedEventEnd] : null;
"""
_STEPPED = """
const keys = ["Home", ...Array(20).fill("ArrowRight"), "End"];
const event = (key) => new KeyboardEvent("keydown", {key, bubbles: true});
const press = (key) => document.body.dispatchEvent(event(key));
const start = performance.now();
for (const key of keys) press(key);
return (performance.now() - start) / keys.length;
"""


def page_of(steps: int) -> str:
    """Return the page of a generated history of so many operations."""
    ops = tuple(generate(_SEED, 0, steps)[:steps])
    trace = Trace(kernel=NEWEST.name, ops=ops)
    teller = teller_of(NEWEST, trace, strict=False, is_alone=True)
    return show_page(About(f"{steps} steps", steps), histories(trace, [teller], steps))


@contextmanager
def browser() -> Iterator[Any]:
    """Start a browser without a window, and end it."""
    from selenium import webdriver  # noqa: PLC0415 - only this benchmark needs it

    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or ""
    with tempfile.TemporaryDirectory() as profile:
        for argument in ("headless", "no-sandbox", "disable-gpu", f"user-data-dir={profile}"):
            options.add_argument(f"--{argument}")
        service = webdriver.ChromeService(executable_path=shutil.which("chromedriver"))
        driver = webdriver.Chrome(options=options, service=service)
        try:
            driver.set_window_size(1280, 800)
            yield driver
        finally:
            driver.quit()


def measured(driver: Any, path: Path) -> tuple[float, float, float]:  # noqa: ANN401 - untyped
    """Return milliseconds to the first paint, to the picture, and for a step."""
    driver.get("about:blank")
    driver.get(path.as_uri())
    times = None
    while times is None:
        time.sleep(0.05)
        times = driver.execute_script(_PAINTED)
    return times[0], times[1], driver.execute_script(_STEPPED)


def main() -> None:
    """Print a table."""
    print(f"{'steps':>6}  {'kB':>6}  {'first paint':>11}  {'picture':>8}  {'a step':>7}   (ms)")
    with tempfile.TemporaryDirectory() as directory, browser() as driver:
        for steps in STEPS:
            path = Path(directory) / f"{steps}.html"
            path.write_text(page_of(steps), encoding="utf-8")
            runs = [measured(driver, path) for _ in range(RUNS)]
            paint, picture, step = (statistics.median(column) for column in zip(*runs, strict=True))
            size = path.stat().st_size / 1000
            print(f"{steps:>6}  {size:>6.0f}  {paint:>11.0f}  {picture:>8.0f}  {step:>7.1f}")


if __name__ == "__main__":
    main()
