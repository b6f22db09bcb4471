"""Pictures of the page of a running service and of drift.html, for the docs.

python scripts/screenshots.py http://127.0.0.1:8000 --out docs
python scripts/screenshots.py monitor/drift.html --out docs

Needs Chromium (apt-get install chromium) and playwright (linnet-text[dev]).
"""

import argparse
import io
import shutil
import sys
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, sync_playwright

TEXTS = """slept badly but the coffee is great
I love this place but I missed my train again"""
LARGEST = 150_000  # bytes
PICTURES = {
    "page-light": {"viewport": {"width": 900, "height": 1000}, "color_scheme": "light"},
    "page-dark": {"viewport": {"width": 900, "height": 1000}, "color_scheme": "dark"},
    "page-phone": {
        "viewport": {"width": 360, "height": 780},
        "color_scheme": "light",
        "device_scale_factor": 2,
    },
}
# Of drift.html: as far down as the first charts.
OPERATE = {
    "operate-light": {"viewport": {"width": 1100, "height": 1900}, "color_scheme": "light"},
    "operate-dark": {"viewport": {"width": 1100, "height": 1900}, "color_scheme": "dark"},
    "operate-phone": {"viewport": {"width": 380, "height": 1900}, "color_scheme": "light"},
}


def main() -> None:
    """Take them all."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("url", help="where the service listens, or a file drift.html")
    parser.add_argument("--out", type=Path, default=Path("docs"), help="the folder")
    arguments = parser.parse_args()
    chromium = shutil.which("chromium")
    if chromium is None:
        sys.exit("Expected Chromium on the PATH; install it with: apt-get install chromium")
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        is_file = arguments.url.endswith(".html")
        take = operate_picture if is_file else picture
        for name, options in (OPERATE if is_file else PICTURES).items():
            target = arguments.out / f"{name}.png"
            target.write_bytes(compressed(take(browser, arguments.url, options)))
            print(f"{target}: {target.stat().st_size:,} bytes")
        browser.close()


def picture(browser: Browser, url: str, options: dict) -> bytes:
    """The page with two texts answered and explained, and the right label of the first one sent."""
    page = browser.new_page(reduced_motion="reduce", **options)
    page.goto(url)
    page.get_by_label("Texts, one per line").fill(TEXTS)
    page.keyboard.press("Control+Enter")
    first, second = page.get_by_role("article").nth(0), page.get_by_role("article").nth(1)
    for card in (first, second):
        button = card.get_by_role("button", name="Which words moved it?")
        button.click()
        button.wait_for(state="detached")
    first.get_by_role("group", name="The right label").get_by_role("button").first.click()
    first.get_by_text("Noted").wait_for()
    page.mouse.move(0, 0)
    taken = page.screenshot(full_page=True)
    page.close()
    return taken


def operate_picture(browser: Browser, file: str, options: dict) -> bytes:
    """The first screens of drift.html."""
    page = browser.new_page(reduced_motion="reduce", **options)
    page.goto(Path(file).resolve().as_uri())
    taken = page.screenshot()
    page.close()
    return taken


def compressed(png: bytes) -> bytes:
    """A PNG of at most 256 colours, which is all that this page has of them to the eye."""
    buffer = io.BytesIO()
    Image.open(io.BytesIO(png)).convert("RGB").quantize(256, dither=Image.Dither.NONE).save(
        buffer, "PNG", optimize=True
    )
    if len(buffer.getvalue()) > LARGEST:
        sys.exit(
            f"Expected a picture of at most {LARGEST:,} bytes, got {len(buffer.getvalue()):,}."
        )
    return buffer.getvalue()


if __name__ == "__main__":
    main()
