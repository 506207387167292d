"""The pages of a server for a browser: a list of its models, and the page that explains one."""

import html
from collections.abc import Iterable
from urllib.parse import quote

PAGE_TYPE = "text/html; charset=utf-8"
INDEX_HEADERS = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'"}
"""What the list may do: show itself. The page of a model says so itself."""
STYLE = (
    ":root{color-scheme:light dark;font:1rem/1.6 system-ui,sans-serif}"
    "main{max-width:40rem;margin:3rem auto;padding:0 1rem}h1{line-height:1.2}li{margin:.5rem 0}"
)


def index(names: Iterable[str], root: str) -> str:
    """The list of the models, with a link to the page of each.

    Examples:
        >>> "<a href='/v1/models/a%26b/page'>a&amp;b</a>" in index(["a&b"], "")
        True
    """
    root = html.escape(root)
    paths = {name: f"{root}/v1/models/{quote(name, safe='')}/page" for name in names}
    links = [f"<li><a href='{path}'>{html.escape(name)}</a></li>" for name, path in paths.items()]
    return (
        "<!doctype html><html lang='en'><head><meta charset='utf-8'><title>Unspool</title>"
        "<meta name='viewport' content='width=device-width, initial-scale=1'>"
        f"<style>{STYLE}</style></head><body><main><h1>From one input to a sequence</h1>"
        "<p>Each page holds a model and computes in your browser; the server only sends it.</p>"
        f"<ul>{''.join(links)}</ul><p>For programs: <a href='{root}/openapi.json'>openapi.json</a></p>"
        "</main></body></html>"
    )
