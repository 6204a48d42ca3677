import sys
from pathlib import Path

# The bench is no part of the package, and is run from the root.
sys.path.append(str(Path(__file__).parents[2]))
