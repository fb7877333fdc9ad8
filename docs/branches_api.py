"""The API that new_source.md reads: ten branches, four a page. Run: python docs/branches_api.py [PORT]."""

import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

TOKEN = "let-me-in"
CITIES = {"Hamburg": "DE", "Leipzig": "DE", "Köln": "DE", "Bremen": "DE", "Kiel": "DE", "Graz": "AT", "Wien": "AT"}
CITIES |= {"Bern": "CH", "Paris": "FR", "Lyon": "FR"}
BRANCHES = [
    {
        "id": number,
        "name": f"Café {city}",
        "city": city,
        "country": country,
        "seats": 20 + number,
        "opened_on": f"2024-{number:02}-01",
        "updated_at": f"2026-01-{number:02}T08:00:00Z",
        "wifi": True,
    }
    for number, (city, country) in enumerate(CITIES.items(), start=1)
]
BRANCHES[8]["seats"] = "a few"  # what no contract lets through


class Handler(BaseHTTPRequestHandler):
    """Answers GET /branches?page=N to whoever has the token."""

    def do_GET(self) -> None:
        """Sends one page, and the number of the next one or null."""
        url = urlsplit(self.path)
        page = int(parse_qs(url.query).get("page", ["1"])[0])
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            self.answer(401, {"message": "who are you?"})
        elif url.path != "/branches":
            self.answer(404, {"message": "not found"})
        else:
            rest = BRANCHES[4 * page - 4 :]
            self.answer(200, {"data": rest[:4], "total": len(BRANCHES), "next_page": page + 1 if rest[4:] else None})

    def answer(self, status: int, value: object) -> None:
        """Sends `value` as JSON."""
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


if __name__ == "__main__":
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1]) if sys.argv[1:] else 8765), Handler).serve_forever()
