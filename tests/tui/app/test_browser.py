"""`hartvisor tui --serve` in headless Chromium: the page comes up, shows the app, and hears keys."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from tests.oracles import require_oracle

PATIENCE = 60.0


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    """A served app."""
    port = free_port()
    server = subprocess.Popen(
        [sys.executable, "-m", "hartvisor.tui.cli", "tui", "kernel", "--technique", "shadow", "--memory", "32M",
         "--no-tour", "--serve", "--port", str(port)],
        env=os.environ | {"XDG_STATE_HOME": str(tmp_path)}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        start_new_session=True)
    end = time.monotonic() + PATIENCE
    while True:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                break
        assert server.poll() is None and time.monotonic() < end, "it does not listen"
        time.sleep(0.1)
    yield f"http://127.0.0.1:{port}/"
    os.killpg(server.pid, signal.SIGTERM)
    server.wait(PATIENCE)


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[webdriver.Chrome]:
    options = webdriver.ChromeOptions()
    options.binary_location = require_oracle("chromium")
    for word in ("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
                 "--disable-background-networking", "--disable-component-update", "--disable-sync",
                 "--window-size=1200,800", f"--user-data-dir={tmp_path / 'profile'}"):
        options.add_argument(word)
    driver = webdriver.Chrome(options=options, service=Service(require_oracle("chromedriver")))
    yield driver
    driver.quit()


def test_a_browser_shows_it_and_hears_keys(address: str, browser: webdriver.Chrome) -> None:
    browser.get(address)
    wait = WebDriverWait(browser, PATIENCE)
    assert "hartvisor" in browser.page_source
    wait.until(lambda page: "-first-byte" in (page.find_element(By.TAG_NAME, "body").get_attribute("class") or ""))
    terminal = browser.find_element(By.CSS_SELECTOR, ".xterm-helper-textarea")
    time.sleep(2.0)
    before = browser.get_screenshot_as_png()
    terminal.send_keys("t")
    terminal.send_keys("4")
    wait.until(lambda page: page.get_screenshot_as_png() != before)
    terminal.send_keys("q")
    wait.until(lambda page: "-closed" in (page.find_element(By.TAG_NAME, "body").get_attribute("class") or ""))


def test_it_listens_on_loopback_alone(address: str) -> None:
    port = int(address.rsplit(":", 1)[1].strip("/"))
    listening = Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()[1:]
    places = {line.split()[1].split(":")[0] for line in listening
              if line.split()[3] == "0A" and int(line.split()[1].split(":")[1], 16) == port}
    assert places == {"0100007F"}
