"""A real browser, driven through Chromium's own debugging pipe: no further package."""

import base64
import fcntl
import json
import os
import shutil
import subprocess
import sys
import time
from itertools import count

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
OPTIONS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
           "--disable-background-networking", "--disable-component-update", "--disable-sync",
           "--remote-debugging-pipe")  # fmt: skip

LAUNCHER = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.dup2(int(sys.argv[2]), 4)
os.execvp(sys.argv[3], sys.argv[3:])
"""
"""The browser reads its descriptor 3 and writes 4."""


class Browser:
    """One window. requests: the addresses that pages asked the network for; errors: what they raised, or were
    refused."""

    def __init__(self, profile):
        for_it, to_write = os.pipe()
        to_read, from_it = os.pipe()
        given = [fcntl.fcntl(end, fcntl.F_DUPFD, 10) for end in (for_it, from_it)]  # apart from 3 and 4
        command = [sys.executable, "-c", LAUNCHER, *map(str, given), CHROMIUM, *OPTIONS]
        command += [f"--user-data-dir={profile}", "about:blank"]
        quiet = subprocess.DEVNULL
        self.process = subprocess.Popen(command, pass_fds=given, stdout=quiet, stderr=quiet)
        for end in (for_it, from_it, *given):
            os.close(end)
        self.reading, self.writing = os.fdopen(to_read, "rb"), os.fdopen(to_write, "wb")
        self.numbers, self.rest, self.session = count(1), b"", None
        self.requests, self.errors = [], []
        page, *_ = [t for t in self.do("Target.getTargets")["targetInfos"] if t["type"] == "page"]
        attached = self.do("Target.attachToTarget", targetId=page["targetId"], flatten=True)
        self.session = attached["sessionId"]
        for domain in ("Page", "Network", "Runtime", "Log", "DOM"):
            self.do(f"{domain}.enable")

    def do(self, method, **parameters):
        """A command of the protocol, and its result."""
        number = next(self.numbers)
        message = {"id": number, "method": method, "params": parameters}
        message |= {"sessionId": self.session} if self.session else {}
        self.writing.write(json.dumps(message).encode() + b"\0")
        self.writing.flush()
        while True:
            answer = self._next()
            if answer.get("id") == number:
                assert "error" not in answer, (method, answer["error"])
                return answer["result"]

    def _next(self):
        """The next message; of events, what tests look at is kept."""
        while b"\0" not in self.rest:
            found = self.reading.read1(1 << 20)
            assert found, "the browser ended"
            self.rest += found
        line, _, self.rest = self.rest.partition(b"\0")
        message = json.loads(line)
        event, what = message.get("method"), message.get("params", {})
        if event == "Network.requestWillBeSent" and not what["request"]["url"].startswith(("data:", "blob:")):
            self.requests.append(what["request"]["url"])
        elif event == "Runtime.exceptionThrown":
            self.errors.append(json.dumps(what["exceptionDetails"])[:500])
        elif event == "Log.entryAdded" and what["entry"]["level"] == "error":
            self.errors.append(f"{what['entry']['text']} {what['entry'].get('url', '')}")
        return message

    def open(self, address):
        self.do("Page.navigate", url=address)

    def script(self, code):
        """The value of an expression of JavaScript."""
        found = self.do("Runtime.evaluate", expression=code, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in found, (code, found["exceptionDetails"])
        return found["result"].get("value")

    def until(self, code, seconds=30):
        """The value of an expression, once it is true."""
        end = time.monotonic() + seconds
        while not (value := self.script(code)):
            assert time.monotonic() < end, (
                f"never true: {code}\n{self.script('document.body.innerText')[:3000]}"
            )
            time.sleep(0.05)
        return value

    def put(self, selector, *paths):
        """Files into a form."""
        root = self.do("DOM.getDocument")["root"]["nodeId"]
        node = self.do("DOM.querySelector", nodeId=root, selector=selector)["nodeId"]
        self.do("DOM.setFileInputFiles", files=[str(path) for path in paths], nodeId=node)

    def window(self, width, height, dark=False):
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.do("Emulation.setDeviceMetricsOverride", **size)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.do("Emulation.setEmulatedMedia", features=[scheme])

    def photograph(self, path, whole=False):
        """A PNG of the window, or of the whole page."""
        taken = self.do("Page.captureScreenshot", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(taken["data"]))

    def close(self):
        self.process.terminate()
        self.process.wait(30)
        self.writing.close()
        self.reading.close()
