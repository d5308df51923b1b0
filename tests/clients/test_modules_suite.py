"""The go command's own script tests with the gateway in the middle, which checks all that their database knows.

How it is done, and what goes past the gateway, is told in tests/rigs/go_suite.py.
"""

import pytest

import go_suite
import rig


def scripts(start_gateway, tmp_path, pattern):
    upstream = f"127.0.0.1:{rig.free_port()}"
    gateway = start_gateway(go_suite.settings(upstream))
    home = tmp_path / "home"
    home.mkdir()
    result = go_suite.suite(gateway.url, upstream, pattern, home)
    assert not result.failed, "\n".join([str(result), *result.failed, *map(result.why, result.failed)])
    metrics = rig.http(f"{gateway.url}/metrics").body.decode()
    return result, metrics


@pytest.mark.timeout(300)
def test_the_scripts_that_ask_most_of_a_module_proxy(start_gateway, tmp_path):
    result, metrics = scripts(start_gateway, tmp_path, go_suite.QUICK)
    # The others want more time than a short run of the suite has, or version control.
    assert len(result.passed) == 12, result
    assert "tradewind_module_versions_refused_total 0" in metrics


@pytest.mark.modules
@pytest.mark.timeout(1200)
def test_all_scripts_about_modules(start_gateway, tmp_path):
    result, _ = scripts(start_gateway, tmp_path, go_suite.ALL)
    assert len(result.passed) == 381, result
