"""Zhipu's older SDK (zhipuai), which signs its keys: the same questions as for its successor, whose interface it has."""

import runpy
import sys
from pathlib import Path

sys.argv[1:] = ["zhipuai"]
runpy.run_path(str(Path(__file__).with_name("zai.py")))
