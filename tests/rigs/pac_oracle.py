"""What pacparser, which is not ours, says about proxy scripts.

Lines of JSON come in, `[script, url, host]` each; a line with the answer goes out for each. Runs with the system's Python, for which
Debian has the package python3-pacparser.
"""

import json
import sys

import pacparser

last = None
for line in sys.stdin:
    script, url, host = json.loads(line)
    if script != last:
        if last is not None:
            pacparser.cleanup()
        pacparser.init()
        pacparser.parse_pac_string(script)
        last = script
    print(pacparser.find_proxy(url, host), flush=True)
