"""For mkdocs: links from docs/ to other files of the repository lead to its web page."""

import re

OUTSIDE = re.compile(r"(\]\()\.\./([^)#\s]+)")


def on_page_markdown(markdown: str, config: dict[str, str], **_: object) -> str:
    """Rewrite the links of a page.

    Args:
        markdown: The page.
        config: As in mkdocs.yml.
    """
    return OUTSIDE.sub(rf"\1{config['repo_url']}/blob/main/\2", markdown)
