"""One page of what the commands found: the service's page /operate, and the file drift.html.

The same template and script draw both. Nothing is loaded from elsewhere.
"""

from linnet.monitor.page.page import file_page, script_digest, served_page

__all__ = ["file_page", "script_digest", "served_page"]
