"""Starts TensorZero's gateway and says where it listens. Run by the Python of TensorZero's own venv.

The wheel holds the whole gateway as a native extension. `patch_openai_client` starts its HTTP server, the one that the
standalone program has, in this process; Python then only waits, and no call passes through it.
"""

import sys
import threading
import types
import warnings

import tensorzero

# It says that the function will go in a later version; the version is pinned.
warnings.simplefilter("ignore", DeprecationWarning)
client = types.SimpleNamespace(base_url=None)
tensorzero.patch_openai_client(client, config_file=sys.argv[1], async_setup=False)
print(f"listening on {client.base_url}", flush=True)
threading.Event().wait()
