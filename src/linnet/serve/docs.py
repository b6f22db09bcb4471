"""The page at /docs, made from the OpenAPI description.

FastAPI's own page fetches its script from an outside host, which a service inside a closed network can't reach
and a careful one shouldn't; this one needs nothing but itself.
"""

import json
from html import escape
from string import Template
from typing import Any

PAGE = Template("""<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark"><title>$title</title>
<style>
body { max-width: 52rem; margin: 0 auto; padding: 2rem 1rem; font: 16px/1.5 system-ui, sans-serif; }
article { margin: 1.5rem 0; padding: 1rem 1.25rem; border: 1px solid #8886; border-radius: 8px; }
h2 { margin: 0; font: 600 1.05rem ui-monospace, monospace; }
pre, textarea { width: 100%; padding: .6rem; overflow: auto; border: 1px solid #8886; border-radius: 6px;
  background: #8881; font: .85rem ui-monospace, monospace; box-sizing: border-box; white-space: pre-wrap; }
td { padding-right: 1rem; vertical-align: top; }
</style></head><body>
<h1>$title <small>$version</small></h1><p>$description
The whole description: <a href="openapi.json">openapi.json</a>.</p>
$operations
<script>
for (const form of document.forms) form.onsubmit = async event => {
  event.preventDefault();
  const headers = {"Content-Type": "application/json"}, body = form.body ? form.body.value : undefined;
  const answer = await fetch(form.getAttribute("action"), {method: form.dataset.method, headers, body});
  form.querySelector("output").innerHTML = "<pre></pre>";
  form.querySelector("output pre").textContent = answer.status + "\\n" + JSON.stringify(await answer.json(), null, 2);
};
</script></body></html>""")


def docs_page(description: dict[str, Any]) -> str:
    """HTML of an OpenAPI description: each route, what it answers, and a form to try it."""
    operations = [
        _operation(path, method, operation, description)
        for path, methods in description["paths"].items()
        for method, operation in methods.items()
    ]
    info = description["info"]
    return PAGE.substitute(
        title=escape(info["title"]),
        version=escape(info["version"]),
        description=escape(info["description"]),
        operations="\n".join(operations),
    )


def _operation(path: str, method: str, operation: dict[str, Any], description: dict[str, Any]) -> str:
    answers = "".join(
        f"<tr><td>{escape(status)}</td><td>{escape(answer['description'])}</td></tr>"
        for status, answer in sorted(operation["responses"].items())
    )
    body = ""
    if "requestBody" in operation:
        example = json.dumps(_example(operation["requestBody"], description), ensure_ascii=False)
        body = f'<textarea name="body" rows="3" aria-label="body">{escape(example)}</textarea>'
    name = f"{method.upper()} {escape(path)}"
    return (
        f"<article><h2>{name}</h2><p>{escape(operation['summary'])}. {escape(operation.get('description', ''))}</p>"
        f"<table>{answers}</table>"
        f'<form action="{escape(path.lstrip("/"))}" data-method="{method.upper()}">{body}'
        f'<p><button aria-label="try {name}">try it</button></p><output></output></form></article>'
    )


def _example(request_body: dict[str, Any], description: dict[str, Any]) -> dict[str, Any]:
    reference = request_body["content"]["application/json"]["schema"]["$ref"]
    schema = description["components"]["schemas"][reference.rpartition("/")[2]]
    return {name: field["examples"][0] for name, field in schema["properties"].items() if "examples" in field}
