# SPDX-License-Identifier: GPL-2.0-only
"""A real browser for the tests of pages: Debian's Chromium, without a network.

Every test may ask for the fixture ``browser``. Without Chromium it is skipped, unless
ANONVMA_NEED_BROWSER says that it must be there.
"""

import os
import shutil
import time

import pytest

_BINARIES = ("chromium", "chromedriver")

_ARGUMENTS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND",
    "--lang=en-US",
)


def start(directory):
    """A driver of a fresh browser whose profile is kept in a directory."""
    from selenium import webdriver  # noqa: PLC0415 - only where there is a browser

    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium")
    for argument in (*_ARGUMENTS, f"--user-data-dir={directory}"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    service = webdriver.ChromeService(executable_path=shutil.which("chromedriver"))
    return webdriver.Chrome(options=options, service=service)


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    """A browser for all tests of a module."""
    missing = [name for name in _BINARIES if shutil.which(name) is None]
    if missing:
        reason = f"not installed: {', '.join(missing)} (Debian: chromium, chromium-driver)"
        if os.environ.get("ANONVMA_NEED_BROWSER"):
            pytest.fail(reason)
        pytest.skip(reason)
    driver = start(tmp_path_factory.mktemp("profile"))
    yield driver
    driver.quit()


def open_page(browser, path, *, width=1200, height=900, dark=False, language="en-US", fragment=""):
    """Open a page from disk in a window of a size, a theme and a language of the reader's."""
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False},
    )
    scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})
    browser.execute_cdp_cmd("Emulation.setUserAgentOverride", agent(browser, language))
    browser.get_log("browser")  # What the page before it had to say.
    browser.get("about:blank")  # Another fragment of the same page alone would not load it again.
    browser.get(path.as_uri() + fragment)


def agent(browser, language):
    """What makes navigator.language a language."""
    name = browser.execute_script("return navigator.userAgent")
    return {"userAgent": name, "acceptLanguage": language}


def complaints(browser):
    """What the browser has against the page: errors of scripts, whatever was refused or missing."""
    return [entry["message"] for entry in browser.get_log("browser")]


def press(browser, *keys):
    """Send keys to what has the focus."""
    from selenium.webdriver.common.action_chains import ActionChains  # noqa: PLC0415

    ActionChains(browser).send_keys(*keys).perform()


def wait_for(holds, seconds=5):
    """Wait until something holds, and fail if it never does."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)
