"""The description of the state API, judged by validators that are not ours: it is OpenAPI 3.1, and what is answered is what it says."""

import json
import pathlib
import subprocess
import sys

import openapi_spec_validator
import pytest
from openapi_schema_validator import OAS31Validator

import rig
from test_state_api import Api


@pytest.fixture(scope="module")
def gateway(tmp_path_factory):
    program = rig.Gateway(tmp_path_factory.mktemp("described"), {"state": {"durability": "os"}})
    yield program
    program.stop()


@pytest.fixture(scope="module")
def api(gateway):
    return Api(gateway.url)


@pytest.fixture(scope="module")
def described(api):
    return json.loads(api("GET", "/openapi.json").content)


def test_it_is_openapi(described):
    assert described["openapi"].startswith("3.1.")
    assert list(openapi_spec_validator.OpenAPIV31SpecValidator(described).iter_errors()) == []
    for schema in described["components"]["schemas"].values():
        OAS31Validator.check_schema(schema)


def test_answers_and_requests_are_what_it_says(api, described):
    """Each operation, its body and its answer against the schemas of the description; and all operations are there."""
    operations = {
        operation["operationId"]: operation for path in described["paths"].values() for operation in path.values()
    }
    asked = set()

    def judge(part, content):
        schema = part["content"]["application/json"]["schema"] | {"components": described["components"]}
        OAS31Validator(schema).validate(content)

    def ask(name, status, method, path, body=None, **headers):
        asked.add(name)
        if isinstance(body, dict):
            judge(operations[name]["requestBody"], body)
        answer = api(method, path, body, **headers)
        assert answer.status == status, answer.content
        told = operations[name]["responses"][str(status)]
        for header in told.get("headers", {}):
            assert header in ("Tradewind-Schema", "Tradewind-Expires-At") or header in answer.headers, header
        if status == 204 or "application/json" not in told.get("content", {}):
            return None
        content = json.loads(answer.content)
        judge(told, content)
        if status >= 400:
            assert content["error"]["code"] in told["x-tradewind-codes"]
        return content

    at, is_json = "/state/described/a%2Fb", {"content_type": "application/json"}
    ask("put", 201, "PUT", at, b'{"n": 1}', if_none_match="*", tradewind_ttl="1h; sliding", tradewind_schema="t@1", **is_json)
    ask("put", 200, "PUT", at, b'{"n": 2}', if_match='"1"', **is_json)
    ask("put", 412, "PUT", at, b'{"n": 2}', if_match='"1"', **is_json)
    ask("put", 428, "PUT", at, b"x")
    ask("put", 204, "PUT", at, b'{"n": 3}', if_match='"2"', prefer="return=minimal", **is_json)
    ask("get", 200, "GET", at)
    ask("get", 304, "GET", at, if_none_match='"3"')
    ask("get", 404, "GET", "/state/described/none")
    patch = b'[{"op": "add", "path": "/l", "value": []}]'
    ask("patch", 200, "PATCH", at, patch, if_match='"3"', content_type="application/json-patch+json")
    ask("patch", 415, "PATCH", at, b"x", if_match='"4"', content_type="text/plain")
    ask("diff", 200, "GET", f"{at}/diff?from=1")
    ask("restore", 200, "POST", f"{at}/restore", {"rev": 1}, if_match='"4"')
    ask("fork", 201, "POST", f"{at}/fork", {"key": "copy", "rev": 2})
    ask("fork", 400, "POST", f"{at}/fork", {"key": "copy"}, if_match='"5"')
    ask("pin", 204, "PUT", f"{at}/pin?rev=1")
    ask("history", 200, "GET", f"{at}/history?limit=2")
    ask("unpin", 204, "DELETE", f"{at}/pin?rev=1")
    ask("prune", 200, "POST", f"{at}/prune", {"keep": 2})
    token = ask("handoff", 200, "POST", f"{at}/handoff", {"ttl": "30s"}, if_match='"5"')["token"]
    ask("redeem", 200, "POST", "/handoff/redeem", {"token": token})
    ask("redeem", 409, "POST", "/handoff/redeem", {"token": token})
    ask("list", 200, "GET", "/state/described?limit=1")
    ask("namespaces", 200, "GET", "/state")
    ask("delete", 200, "DELETE", at, if_match='"6"')
    ask("history", 200, "GET", f"{at}/history")
    ask("describe", 200, "GET", "/openapi.json")
    # Streams are judged elsewhere: of a watch only a refusal is JSON.
    ask("watch", 410, "GET", "/state/described/watch?from=999999")
    assert asked == operations.keys()


@pytest.mark.timeout(240)
def test_requests_that_somebody_else_makes_up_are_answered_as_it_says(gateway, described, tmp_path):
    """Some thousand requests of Schemathesis, valid ones and others. A watch never ends, so that it is left out."""
    (tmp_path / "openapi.json").write_text(json.dumps(described))
    checks = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance,response_headers_conformance"
    done = subprocess.run(
        [
            *(pathlib.Path(sys.executable).with_name("schemathesis"), "run", "openapi.json", "--url", gateway.url),
            *("--checks", checks, "--exclude-path-regex", "watch", "--phases", "coverage,fuzzing"),
            *("--max-examples", "40", "--seed", "1", "--generation-database", "none", "--no-color"),
            # How busy the machine is says nothing of the gateway.
            *("--request-timeout", "60", "--suppress-health-check", "too_slow"),
        ],
        cwd=tmp_path, capture_output=True, text=True, timeout=200,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Tested: 16" in done.stdout, done.stdout
