"""Moved to `datasets.databases.composite`.  # until issue 14 is whole"""

from micromimic.datasets.databases.composite import ARTICLE, composite, table1
from micromimic.datasets.read import Indexed as Composite

__all__ = ["ARTICLE", "Composite", "composite", "table1"]
