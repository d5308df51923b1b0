"""The state API with the gateway as a process: statuses and codes, conditions, expiry, watches, hand-off, limits, restarts."""

import http.client
import json
import threading

import pytest

import rig

NAMESPACES = [
    {"name": "short", "ttl": "1s"},
    {"name": "small", "max-value": "1KiB"},
    {"name": "merged", "on-conflict": "merge"},
    {"name": "brief", "keep": 2},
]


class Api:
    """The API of one gateway, on one connection."""

    def __init__(self, url, key=None):
        self.connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=20)
        self.headers = {"authorization": f"Bearer {key}"} if key else {}

    def __call__(self, method, path, body=None, **headers):
        """Sends a request; words in names of headers are joined by `_`."""
        sent = self.headers | {name.replace("_", "-"): value for name, value in headers.items()}
        if isinstance(body, (dict, list)):
            body, sent = json.dumps(body), {"content-type": "application/json"} | sent
        self.connection.request(method, f"/api/v1{path}", body, sent)
        answer = self.connection.getresponse()
        answer.content = answer.read()
        return answer

    def refused(self, status, code, method, path, body=None, **headers):
        answer = self(method, path, body, **headers)
        assert (answer.status, json.loads(answer.content)["error"]["code"]) == (status, code), answer.content
        return answer


@pytest.fixture(scope="module")
def gateway(tmp_path_factory):
    program = rig.Gateway(tmp_path_factory.mktemp("state"), {"state": {"durability": "os", "namespaces": NAMESPACES}})
    yield program
    program.stop()


@pytest.fixture
def api(gateway):
    return Api(gateway.url)


def test_every_write_states_its_condition(api):
    at = "/state/conditions/a"
    api.refused(428, "TW7004", "PUT", at, b"x")
    api.refused(428, "TW7004", "PUT", at, b"x", if_match="*")
    assert api("PUT", at, {"n": 1}, if_none_match="*").status == 201
    api.refused(412, "TW7003", "PUT", at, {"n": 2}, if_none_match="*")
    written = api("PUT", at, {"n": 2}, if_match='"1"')
    assert (written.status, written.headers["etag"]) == (200, '"2"')
    lost = api.refused(412, "TW7003", "PUT", at, {"n": 3}, if_match='"1"')
    assert lost.headers["etag"] == '"2"'
    shown = api("PUT", at, {"n": 3}, if_match='"1"', prefer="return=representation")
    assert (shown.status, json.loads(shown.content), shown.headers["etag"]) == (412, {"n": 2}, '"2"')
    assert api("GET", at, if_none_match='"2"').status == 304
    assert json.loads(api("GET", f"{at}?rev=1").content) == {"n": 1}
    api.refused(404, "TW7001", "GET", "/state/conditions/other")
    api.refused(428, "TW7004", "DELETE", at)
    assert api("DELETE", at, if_match='"2"').status == 200
    api.refused(404, "TW7001", "GET", at)
    again = api("PUT", at, b"back", if_none_match="*")
    assert again.headers["etag"] == '"4"', "numbers go on after a deletion"


def test_what_is_wrong_is_said(api):
    api.refused(400, "TW7007", "GET", "/state/Bad%20Name/a")
    api.refused(400, "TW7007", "PUT", "/state/fine/a%2F..%2Fb", b"x", if_none_match="*")
    api.refused(400, "TW7007", "PUT", "/state/_gateway/ways", b"x", if_none_match="*")
    api.refused(413, "TW7006", "PUT", "/state/small/a", b"x" * 1025, if_none_match="*")
    # Refused by what is announced: nothing of it is read.
    huge = {"if_none_match": "*", "content_length": str(16 * 2**20 + 1)}
    assert api.refused(413, "TW7006", "PUT", "/state/fine/a", **huge).headers["connection"] == "close"
    api("PUT", "/state/fine/json", {"a": [1]}, if_none_match="*")
    patch = {"content_type": "application/json-patch+json", "if_match": '"1"'}
    api.refused(422, "TW7009", "PATCH", "/state/fine/json", b'[{"op":"remove","path":"/b"}]', **patch)
    answer = api("PATCH", "/state/fine/json", b'[{"op":"add","path":"/a/-","value":2}]', **patch)
    assert answer.status == 200 and json.loads(api("GET", "/state/fine/json").content) == {"a": [1, 2]}
    broken = api("PUT", "/state/fine/bad", b"{", if_none_match="*", content_type="application/json")
    assert broken.status == 400
    assert api("POST", "/state/fine/json").status == 405


def test_expired_is_gone_and_watches_are_told(gateway, api):
    watching = Watch(gateway, "/state/short/watch?from=0")
    assert api("PUT", "/state/short/a", b"x", if_none_match="*").status == 201
    rig.until(lambda: api("GET", "/state/short/a").status == 410, "it is still there")
    api.refused(410, "TW7002", "GET", "/state/short/a")
    assert [(event["key"], event["kind"], event["rev"]) for event in watching.take(2)] == [
        ("a", "value", 1),
        ("a", "expired", 2),
    ]
    api("PUT", "/state/short/b", b"x", if_none_match="*", tradewind_ttl="30d")
    assert "tradewind-expires-at" in api("GET", "/state/short/b").headers


class Watch:
    """A watch, read by a thread."""

    def __init__(self, gateway, path, **headers):
        self.connection = http.client.HTTPConnection(gateway.url.removeprefix("http://"), timeout=30)
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        self.connection.request("GET", f"/api/v1{path}", headers=headers)
        self.answer = self.connection.getresponse()
        assert self.answer.status == 200, self.answer.read()
        self.last = None

    def take(self, count):
        """The next changes."""
        found, field = [], {}
        while len(found) < count:
            line = self.answer.readline().decode().rstrip("\n")
            if line:
                name, _, value = line.partition(": ")
                field[name] = value
                continue
            # An id without data is no event, and moves the place all the same.
            self.last = field.get("id", self.last)
            if "data" in field and field.get("event", "message") == "message":
                found.append(json.loads(field["data"]))
            field = {}
        return found


def test_a_watch_that_was_cut_goes_on_exactly_behind_it(gateway, api):
    watch = Watch(gateway, "/state/watched/watch?from=0")
    seen = []

    def write():
        own = Api(gateway.url)
        for number in range(300):
            assert own("PUT", f"/state/watched/k{number}", b"x", if_none_match="*").status == 201

    writing = threading.Thread(target=write)
    writing.start()
    while len(seen) < 300:
        seen += watch.take(min(7, 300 - len(seen)))
        watch.connection.close()
        watch = Watch(gateway, "/state/watched/watch?from=0", last_event_id=watch.last)
    writing.join()
    assert [event["key"] for event in seen] == [f"k{number}" for number in range(300)]


def test_a_watch_of_what_is_quiet_comes_along_with_others(gateway, api):
    watch = Watch(gateway, "/state/quiet/watch?from=0&prefix=own/")
    for number in range(3):
        assert api("PUT", f"/state/quiet/other/{number}", b"x", if_none_match="*").status == 201
    place = "0"
    while place == "0":
        line = watch.answer.readline().decode().strip()
        assert not line.startswith("data: ") or line == "data: {}", line
        if line.startswith("id: "):
            place = line.removeprefix("id: ")
    watch.connection.close()
    watch = Watch(gateway, "/state/quiet/watch?prefix=own/", last_event_id=place)
    assert api("PUT", "/state/quiet/own/1", b"x", if_none_match="*").status == 201
    assert [event["key"] for event in watch.take(1)] == ["own/1"]


def test_hand_off_and_its_refusals(api):
    at = "/state/agents/planner"
    api("PUT", at, {"at": "laptop"}, if_none_match="*")
    token = json.loads(api("POST", f"{at}/handoff", {"ttl": "30s"}, if_match='"1"').content)["token"]
    forged = token[:-2] + ("aa" if token[-2:] != "aa" else "bb")
    api.refused(403, "TW7015", "POST", "/handoff/redeem", {"token": forged})
    api.refused(403, "TW7015", "POST", "/handoff/redeem", {"token": "nothing"})
    redeemed = api("POST", "/handoff/redeem", {"token": token})
    assert (redeemed.status, json.loads(redeemed.content)["epoch"]) == (200, 1)
    api.refused(409, "TW7017", "POST", "/handoff/redeem", {"token": token})
    # The old holder's next write, by its epoch, and without one by its revision.
    api.refused(409, "TW7005", "PUT", at, {"at": "laptop"}, if_match='"1"', tradewind_epoch="0")
    api.refused(412, "TW7003", "PUT", at, {"at": "laptop"}, if_match='"1"')
    assert api("PUT", at, {"at": "desk"}, if_match='"2"', tradewind_epoch="1").status == 200
    # The holder writes after it asked.
    stale = json.loads(api("POST", f"{at}/handoff", {}, if_match='"3"', tradewind_epoch="1").content)["token"]
    api("PUT", at, {"at": "sofa"}, if_match='"3"', tradewind_epoch="1")
    api.refused(409, "TW7019", "POST", "/handoff/redeem", {"token": stale})
    # Another token came between.
    fresh, other = (json.loads(api("POST", f"{at}/handoff", {}, if_match='"4"').content)["token"] for _ in range(2))
    assert api("POST", "/handoff/redeem", {"token": fresh}).status == 200
    api.refused(409, "TW7018", "POST", "/handoff/redeem", {"token": other})
    api.refused(409, "TW7017", "POST", "/handoff/redeem", {"token": token})
    # Too late.
    late = json.loads(api("POST", f"{at}/handoff", {"ttl": "1s"}, if_match='"5"').content)["token"]
    items = json.loads(api("GET", f"{at}/history").content)["items"]
    assert [item["epoch"] for item in items] == [2, 1, 1, 1, 0]
    # A value that lives as long is gone then.
    api("PUT", "/state/short/late", b"x", if_none_match="*")
    rig.until(lambda: api("GET", "/state/short/late").status == 410, "a second has not passed")
    api.refused(410, "TW7016", "POST", "/handoff/redeem", {"token": late})


def test_history_is_bounded_pinned_forked_and_restored(api):
    at = "/state/brief/a"
    api("PUT", at, b"1", if_none_match="*")
    assert api("PUT", f"{at}/pin?rev=1").status == 204
    for rev in range(1, 6):
        api("PUT", at, f"{rev + 1}".encode(), if_match=f'"{rev}"')
    revisions = [item["rev"] for item in json.loads(api("GET", f"{at}/history").content)["items"]]
    assert revisions == [6, 5, 1], "the newest two, and the pinned one"
    api.refused(410, "TW7002", "GET", f"{at}?rev=3")
    assert api("POST", f"{at}/fork", {"key": "b", "rev": 1}).status in (200, 201)
    assert api("GET", "/state/brief/b").content == b"1"
    assert api("POST", f"{at}/restore", {"rev": 1}, if_match='"6"').status == 200
    assert (api("GET", at).content, api("GET", at).headers["etag"]) == (b"1", '"7"')
    api("PUT", "/state/fine/d", {"a": 1, "b": 2}, if_none_match="*")
    api("PUT", "/state/fine/d", {"a": 1, "b": 3}, if_match='"1"')
    assert json.loads(api("GET", "/state/fine/d/diff?from=1").content)["patch"] == [
        {"op": "replace", "path": "/b", "value": 3}
    ]


def test_disjoint_changes_are_merged_where_that_is_wanted(api):
    for namespace, status in [("merged", 200), ("fine", 412)]:
        at = f"/state/{namespace}/both"
        api("PUT", at, {"a": 0, "b": 0}, if_none_match="*")
        api("PUT", at, {"a": 1, "b": 0}, if_match='"1"')
        assert api("PUT", at, {"a": 0, "b": 2}, if_match='"1"').status == status
    assert json.loads(api("GET", "/state/merged/both").content) == {"a": 1, "b": 2}
    api.refused(412, "TW7003", "PUT", "/state/merged/both", {"a": 7, "b": 0}, if_match='"1"')


def test_keys_see_what_they_are_allowed(tmp_path):
    keys = [
        {"name": "own", "secret": "own-secret-own-secret", "allow": ["state/mine/*"]},
        {"name": "one", "secret": "one-secret-one-secret", "allow": ["state/mine/a"]},
    ]
    program = rig.Gateway(tmp_path, {"keys": keys})
    own, one, nobody = Api(program.url, "own-secret-own-secret"), Api(program.url, "one-secret-one-secret"), Api(program.url)
    assert nobody("GET", "/state/mine/a").status == 401
    for name in "ab":
        assert own("PUT", f"/state/mine/{name}", b"x", if_none_match="*").status == 201
    assert own("PUT", "/state/other/a", b"x", if_none_match="*").status == 403
    assert [one("GET", f"/state/mine/{name}").status for name in "ab"] == [200, 403]
    assert [item["key"] for item in json.loads(one("GET", "/state/mine").content)["items"]] == ["a"]
    assert json.loads(own("GET", "/state/mine/a/history").content)["items"][0]["by"] == "own"
    program.stop()


def test_the_description_is_openapi(api):
    described = json.loads(api("GET", "/openapi.json").content)
    assert described["openapi"].startswith("3.1")
    assert {"/api/v1/state/{namespace}/{key}", "/api/v1/handoff/redeem"} <= described["paths"].keys()
