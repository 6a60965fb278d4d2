"""What a stage imports in place of the library if it is called as a file: the way to call it.

Python then looks for modules beside that file, and so finds this one.
"""

import sys
from pathlib import Path

name = Path(sys.argv[0]).stem
sys.exit(f"error: in the project's folder, call a stage by its name: `python -m stages.{name}`")
