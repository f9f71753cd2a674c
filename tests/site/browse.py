"""Open the built site in headless Chromium, as a reader does: `make docs-test`.

Every page is opened at the width of a desktop and of a phone. What fails is said with its page: an
error on the console, a picture that does not show, a page wider than the phone's screen, a search
that finds nothing. Nothing beyond this machine can be reached, so that a page that asks for
anything elsewhere fails too.

The browser is driven by chromedriver over the protocol of the W3C, which is JSON over HTTP.
"""

import argparse
import base64
import contextlib
import functools
import http.server
import json
import shutil
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path

DESKTOP, PHONE = (1280, 900), (390, 844)
MISSING = (
    "make docs-test needs {program}, which was not found. On Debian and Ubuntu: "
    "apt-get install chromium chromium-driver"
)
#: What must be on a page for it to be of use: a selector, and what it stands for.
WANTED = {
    "index.html": {
        "#search-button, .search-button__button": "a way to search",
        "article img": "a picture",
        "article table": "the table",
        "article pre": "code",
    },
    "api/acr_sklearn.ZeroShotACRDetector.html": {"dt.sig": "a signature", ".doctest": "an example"},
    "gallery/index.html": {".sphx-glr-thumbcontainer img": "thumbnails"},
    "gallery/plot_digits.html": {"article img": "a picture", ".sphx-glr-script-out": "output"},
    "results.html": {"article table": "a table", 'a[href*="native"]': "a way to the long tables"},
}
PICTURES = """
const done = arguments[0], images = [...document.querySelectorAll("img")];
for (const image of images) image.loading = "eager";
const late = new Promise(stop => setTimeout(stop, 5000));
Promise.race([Promise.all(images.map(i => i.decode().catch(() => null))), late]).then(() => done(
  images.filter(i => i.naturalWidth === 0).map(i => i.getAttribute("src"))));
"""
#: The innermost elements that reach beyond the screen, unless something around them scrolls.
TOO_WIDE = """
const page = document.documentElement, width = Math.min(arguments[0], page.clientWidth);
// The theme lets the whole article scroll sideways, which no reader expects: that does not count.
const inside = e => { for (let p = e.parentElement; p; p = p.parentElement) {
  if (p.matches("body, .bd-article-container")) return false;
  if (/auto|scroll/.test(getComputedStyle(p).overflowX)) return true; }
  return false; };
const seen = e => { const box = e.getBoundingClientRect();
  return box.width > 0 && box.left < width && getComputedStyle(e).visibility === "visible"; };
const wide = [...document.body.querySelectorAll("*")].filter(
  e => seen(e) && e.getBoundingClientRect().right > width + 1 && !inside(e));
if (page.scrollWidth <= width && !wide.length) return [];
return [page.scrollWidth + " pixels"].concat(wide.slice(-3).map(e =>
  e.tagName.toLowerCase() + "." + e.className + ": " + (e.textContent || "").trim().slice(0, 50)));
"""


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Serves files without a line for each."""

    def log_message(self, *_):
        pass


class Browser:
    """One window of Chromium of one size."""

    def __init__(self, address, size):
        self.address = address
        options = {
            "args": [
                "--headless=new", "--hide-scrollbars", "--no-sandbox",
                "--disable-gpu", "--disable-dev-shm-usage",
                f"--window-size={size[0]},{size[1]}",
                "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
            ],
            "binary": shutil.which("chromium"),
        }  # fmt: skip
        if size == PHONE:
            metrics = {"width": size[0], "height": size[1], "pixelRatio": 1, "touch": True}
            options["mobileEmulation"] = {"deviceMetrics": metrics}
        wanted = {
            "browserName": "chrome",
            "goog:chromeOptions": options,
            "goog:loggingPrefs": {"browser": "ALL"},
        }
        made = self.ask("POST", "/session", {"capabilities": {"alwaysMatch": wanted}})
        self.session = f"/session/{made['sessionId']}"

    def ask(self, method, path, content=None):
        """One command of the protocol, and what it answers."""
        body = json.dumps(content or {}).encode() if method == "POST" else None
        request = urllib.request.Request(
            self.address + path, body, {"Content-Type": "application/json"}, method=method
        )
        with urllib.request.urlopen(request, timeout=120) as answer:
            return json.load(answer)["value"]

    def open(self, url):
        self.ask("POST", f"{self.session}/url", {"url": url})

    def run(self, script, *arguments):
        content = {"script": script, "args": list(arguments)}
        return self.ask("POST", f"{self.session}/execute/sync", content)

    def run_async(self, script):
        return self.ask("POST", f"{self.session}/execute/async", {"script": script, "args": []})

    def errors(self):
        """What the console has said since the last call, if it is an error."""
        lines = self.ask("POST", f"{self.session}/se/log", {"type": "browser"})
        return [line["message"] for line in lines if line["level"] == "SEVERE"]

    def picture(self, path):
        """The whole page, below the fold too."""
        command = {"cmd": "Page.captureScreenshot", "params": {"captureBeyondViewport": True}}
        shot = self.ask("POST", f"{self.session}/goog/cdp/execute", command)
        path.write_bytes(base64.b64decode(shot["data"]))

    def close(self):
        self.ask("DELETE", self.session)


def look(browser, url, name, size):
    """What is wrong with a page at one width."""
    browser.open(f"{url}/{name}")
    found = [f"the picture {source} does not show" for source in browser.run_async(PICTURES)]
    if wide := browser.run(TOO_WIDE, size[0]):
        found.append(f"wider than {size[0]} pixels: {'; '.join(wide)}")
    for selector, what in WANTED.get(name, {}).items():
        if not browser.run("return document.querySelectorAll(arguments[0]).length", selector):
            found.append(f"lacks {what} ({selector})")
    found += browser.errors()
    return [f"{name} at {size[0]}: {says}" for says in found]


def search(browser, url, word):
    """What is wrong with the search, which must lead to a page that has the word."""
    browser.open(f"{url}/search.html?q={word}")
    links = []
    for _ in range(100):
        links = browser.run(
            "return [...document.querySelectorAll('#search-results li a')].map(a => a.href)"
        )
        if links:
            break
        time.sleep(0.1)
    if not links:
        return [f"the search finds nothing for {word!r}", *browser.errors()]
    browser.open(links[0])
    text = browser.run("return document.body.textContent")
    missing = [] if word in text else [f"{links[0]}, found by the search, has no {word!r}"]
    return [*missing, *browser.errors()]


@contextlib.contextmanager
def serve(folder):
    """The site on a free port of this machine."""
    handler = functools.partial(Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


@contextlib.contextmanager
def drive():
    """A chromedriver on a free port, once it answers."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen(
        [shutil.which("chromedriver"), f"--port={port}"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(100):
            with contextlib.suppress(OSError), urllib.request.urlopen(f"{address}/status"):
                break
            time.sleep(0.2)
        yield address
    finally:
        process.terminate()
        process.wait()


def findings(folder, names, screenshots=None):
    """What is wrong with the site, page by page."""
    found = [f"{name}: no such page" for name in WANTED if not (folder / name).is_file()]
    with serve(folder) as url, drive() as address:
        for size in (DESKTOP, PHONE):
            browser = Browser(address, size)
            try:
                for name in names:
                    found += look(browser, url, name, size)
                    if screenshots and (name in WANTED or len(names) < 10):
                        stem = name.removesuffix(".html").replace("/", "-")
                        browser.picture(screenshots / f"{stem}-{size[0]}.png")
                found += search(browser, url, "adapt")
            finally:
                browser.close()
    return found


def main():
    parser = argparse.ArgumentParser(description="Open the built site in headless Chromium.")
    parser.add_argument("site", type=Path, help="folder of the built site")
    parser.add_argument("--pages", nargs="+", help="these only, such as index.html")
    parser.add_argument("--screenshots", type=Path, help="folder for pictures of the main pages")
    arguments = parser.parse_args()
    for program in ("chromium", "chromedriver"):
        if shutil.which(program) is None:
            sys.exit(MISSING.format(program=program))
    site = arguments.site
    pages = sorted(p.relative_to(site).as_posix() for p in site.rglob("*.html"))
    names = arguments.pages or [p for p in pages if p.split("/")[0] != "_static"]
    if not names:
        sys.exit(f"No page in {site}: run `make docs` first.")
    if arguments.screenshots:
        arguments.screenshots.mkdir(parents=True, exist_ok=True)
    start = time.perf_counter()
    found = findings(site, names, arguments.screenshots)
    says = "\n".join(found) if found else f"{len(names)} pages at two widths: nothing amiss."
    sys.stdout.write(f"{says}\n{time.perf_counter() - start:.0f} s\n")
    sys.exit(bool(found))


if __name__ == "__main__":
    main()
