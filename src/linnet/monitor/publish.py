"""What every command does once its results are written: metrics, alarms and the page."""

from collections.abc import Callable
from pathlib import Path
from time import sleep

from linnet.config import Config
from linnet.errors import LinnetError
from linnet.files import write_text
from linnet.monitor.alarms import gauges, send_alarms, textfile
from linnet.monitor.page import file_page
from linnet.monitor.results import read_results

PAGE = "drift.html"
TEXTFILE = "linnet.prom"


def publish(config: Config, folder: Path, pause: Callable[[float], None] = sleep) -> list[str]:
    """Write the file of metrics, send the alarms that are due, and write the page.

    Args:
        config: `[alarms]` is used.
        folder: The monitor's, with the results.
        pause: Waits between two tries to send an alarm, in seconds.

    Returns:
        What was sent, and what failed without harm to the results, a sentence each.

    Raises:
        StorageError: The page can't be written.
    """
    results = read_results(folder)
    said = []
    target = Path(config.alarms.textfile or folder / TEXTFILE)
    try:
        write_text(target, textfile(gauges(results)))
    except (LinnetError, OSError) as error:
        said.append(f"The metrics were not written: {error}")
    said += send_alarms(config.alarms, folder, results, pause)
    write_text(folder / PAGE, file_page(results))
    return said
