"""Starts nginx, Envoy, TensorZero and LiteLLM, each with its own configuration.

The configurations are files beside this one; nothing here weakens a rival.
"""

import os
import shutil

from parties import HERE, Party, rig, version

LITELLM_KEY = "sk-tradewind-bench-0123456789abcdef"
# Which of LiteLLM's servers and how many workers are fastest depends on the machine: `loads.fastest` tries them. Its
# checklist recommends one uvicorn worker; the others are its documented ways to use more cores.
LITELLM_SERVERS = [
    ("--num_workers", "1"),
    ("--num_workers", "1", "--run_granian"),
    ("--num_workers", "2", "--run_granian"),
    # While it starts, a worker is too busy to answer its master's question whether it lives within 5 s.
    ("--num_workers", "2", "--timeout_worker_healthcheck", "60"),
]
LITELLM_ENVIRONMENT = {
    "LITELLM_MODE": "PRODUCTION",
    "LITELLM_LOG": "ERROR",
    # It would fetch a list of prices from the Internet when it starts.
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    "DISABLE_ADMIN_UI": "True",
    "NO_DOCS": "True",
}


def start_nginx(folder, upstream):
    folder = folder / "nginx"
    folder.mkdir()
    plain, stream = rig.free_port(), rig.free_port()
    binary = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
    text = (HERE / "nginx.conf.in").read_text().format(upstream=upstream, plain=plain, stream=stream, folder=folder)
    (folder / "nginx.conf").write_text(text)
    program = rig.Program([binary, "-p", folder, "-c", folder / "nginx.conf"], folder / "log")
    program.wait_for_http(f"http://127.0.0.1:{plain}/v1/models")
    return Party("nginx", f"127.0.0.1:{plain}", f"127.0.0.1:{stream}", program, version([binary, "-v"]))


def start_nginx_files(folder, probe):
    """nginx as a server of the files in `folder/files`, one of which is `probe`."""
    folder.chmod(0o755)
    port = rig.free_port()
    binary = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
    text = (HERE / "nginx-files.conf.in").read_text().format(port=port, folder=folder)
    (folder / "nginx.conf").write_text(("user root;\n" if os.getuid() == 0 else "") + text)
    program = rig.Program([binary, "-c", folder / "nginx.conf", "-p", folder], folder / "log")
    program.wait_for_http(f"http://127.0.0.1:{port}/{probe}")
    address = f"127.0.0.1:{port}"
    return Party("nginx", address, address, program, version([binary, "-v"]))


def start_envoy(folder, upstream):
    folder = folder / "envoy"
    folder.mkdir()
    port = rig.free_port()
    binary = rig.PEERS / "envoy"
    text = (HERE / "envoy.yaml.in").read_text()
    text = text.replace("@UPSTREAM_PORT@", upstream.rsplit(":")[-1]).replace("@LISTEN_PORT@", str(port))
    (folder / "envoy.yaml").write_text(text)
    program = rig.Program(
        [
            *(binary, "--config-path", folder / "envoy.yaml", "--concurrency", 2, "--disable-hot-restart"),
            *("--log-level", "error"),
        ],
        folder / "log",
    )
    program.wait_for_http(f"http://127.0.0.1:{port}/v1/models")
    address = f"127.0.0.1:{port}"
    return Party("Envoy", address, address, program, version([binary, "--version"]))


def start_tensorzero(folder, upstream):
    folder = folder / "tensorzero"
    folder.mkdir()
    file = folder / "tensorzero.toml"
    file.write_text((HERE / "tensorzero.toml.in").read_text().replace("@UPSTREAM@", upstream))
    venv = rig.PEERS / "tensorzero"
    python = venv / "bin" / "python"
    # What its own program has built in; with libc's allocator it answers a third less.
    allocator = next(venv.glob("lib/python*/site-packages/cmeel.prefix/lib/libmimalloc.so"))
    environment = {"RUST_LOG": "error", "LD_PRELOAD": str(allocator)}
    program = rig.Program([python, HERE / "tensorzero_gateway.py", file], folder / "log", environment)
    address = program.wait_for_line(r"listening on http://(127\.0\.0\.1:\d+)/openai/v1").group(1)
    said = version([python, "-c", "import importlib.metadata as it; print(it.version('tensorzero'))"])
    return Party("TensorZero", address, address, program, said, "/openai", "tensorzero::model_name::bench")


def start_litellm(folder, upstream, server):
    """One of `LITELLM_SERVERS`."""
    port = rig.free_port()
    folder = folder / f"litellm-{port}"
    folder.mkdir()
    file = folder / "config.yaml"
    text = (HERE / "litellm.yaml.in").read_text().replace("@UPSTREAM@", upstream).replace("@KEY@", LITELLM_KEY)
    file.write_text(text)
    binary = rig.PEERS / "litellm" / "bin" / "litellm"
    program = rig.Program(
        [binary, "--config", file, "--host", "127.0.0.1", "--port", port, *server],
        folder / "log",
        LITELLM_ENVIRONMENT | {"HOME": str(folder), "TMPDIR": str(folder)},
    )
    program.wait_for_http(f"http://127.0.0.1:{port}/health/liveliness", limit=120)
    address = f"127.0.0.1:{port}"
    said = version([binary.with_name("python"), "-c", "import importlib.metadata as it; print(it.version('litellm'))"])
    party = Party("LiteLLM", address, address, program, f"{said}, {' '.join(server)}")
    party.headers = {"authorization": f"Bearer {LITELLM_KEY}"}
    party.share = 0.5
    return party
