"""A folder for a project: settings, DVC pipeline, workflows, image and tests, from templates.

Needs neither MLflow nor DVC nor git. Knows nothing of what the files do.
"""

from linnet.project.check import Drift, drift
from linnet.project.init import Written, init
from linnet.project.options import Options

__all__ = ["Drift", "Options", "Written", "drift", "init"]
