"""What the tests of the modules door have in common: trees, upstreams that serve them, and go commands."""

import itertools

import pytest

import golang  # first: it puts the rigs on the path
import go_sumdb
import go_tree


@pytest.fixture(scope="session")
def tree():
    """A few difficult modules."""
    return go_tree.corpus()


@pytest.fixture(scope="session")
def database(tree):
    """A checksum database that has them all, among a thousand others."""
    return go_sumdb.Database().pad(300).add_tree(tree).pad(300)


@pytest.fixture
def start_upstream():
    """Starts an upstream of the test's own."""
    started = []

    def start(*arguments, **more):
        started.append(golang.Upstream(*arguments, **more))
        return started[-1]

    yield start
    for upstream in started:
        upstream.close()


@pytest.fixture
def source(start_upstream, tree, database):
    """An upstream with those modules and their database."""
    return start_upstream(tree, database)


@pytest.fixture
def door(start_gateway, source):
    """A gateway in front of `source`."""
    return start_gateway(golang.settings(source))


@pytest.fixture
def start_go(tmp_path):
    """Makes a go command of the test's own: `start_go(gateway)`, or with the text of a GOPROXY."""
    numbers = itertools.count()

    def start(proxy, sumdb="off", **environment):
        proxy = proxy if isinstance(proxy, str) else f"{proxy.url}/go"
        return golang.Go(tmp_path / f"go-{next(numbers)}", proxy, sumdb, **environment)

    return start


@pytest.fixture
def go(start_go, door, database):
    """A go command behind `door`, which checks with the same database through it."""
    return start_go(door, database.key)
