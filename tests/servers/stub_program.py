"""A program that serves on a port as it is told: run by the tests as the command of a server.

    python stub_program.py PORT [--stubborn] [--child PIDFILE] [--late SECONDS] [--die CODE]

Any GET is answered with 200. ``--stubborn`` leaves SIGTERM unheard; ``--child`` starts a child that leaves it
unheard too, in a session of its own, and writes its pid; ``--die`` prints a line and exits with that code.
"""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

_DEAF = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print(1, flush=True)
time.sleep(600)
"""


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()


def main() -> None:
    """Serve until told to stop."""
    parser = argparse.ArgumentParser()
    parser.add_argument("port", type=int)
    parser.add_argument("--stubborn", action="store_true")
    parser.add_argument("--child", type=Path)
    parser.add_argument("--die", type=int)
    asked = parser.parse_args()
    if asked.stubborn:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if asked.die is not None:
        print("ValueError: the weights are not here", flush=True)
        sys.exit(asked.die)
    if asked.child:
        child = subprocess.Popen(
            [sys.executable, "-c", _DEAF], start_new_session=True, stdout=subprocess.PIPE
        )
        assert child.stdout is not None
        child.stdout.readline()
        asked.child.write_text(str(child.pid))
    ThreadingHTTPServer(("127.0.0.1", asked.port), _Handler).serve_forever()


if __name__ == "__main__":
    main()
