"""What the CLI asks pip before each run, answered at once: real pip takes longer than the run itself.

The one package that matters to it is the SDK; the projects under test use no other with a plugin.
"""

import json
import sys
from importlib.metadata import version

if sys.argv[1:2] == ["list"]:
    print(json.dumps([{"name": "pulumi", "version": version("pulumi")}]))
else:
    print(f"pip 26.0 from {__file__} (python {sys.version_info[0]}.{sys.version_info[1]})")
