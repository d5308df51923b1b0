"""Each refusal raises the exception that the official packages have for it, in both dialects, whoever refuses: the gateway
itself or the provider behind it, in the caller's own dialect or another one.
"""

import base64

import anthropic
import openai
import pytest

import rig
from conftest import anthropic_client

HELLO = [{"role": "user", "content": "hello"}]
PACKAGES = {"openai": openai, "anthropic": anthropic}
KEYS = [
    {"name": "all", "secret": "tw-all-0123456789abcdef", "allow": ["models/*", "control/read"]},
    {"name": "some", "secret": "tw-some-0123456789abcdef", "allow": ["models/allowed"]},
    {"name": "slow", "secret": "tw-slow-0123456789abcdef", "allow": ["models/*"], "rpm": 1},
    {"name": "narrow", "secret": "tw-narrow-0123456789abcdef", "allow": ["models/*"], "tpm": 10},
]
SECRETS = {key["name"]: key["secret"] for key in KEYS}
# What a provider does, and the status of the exception. Faults of the provider and of its keys are 502 to the caller.
FAULTS = {"error-400": 400, "error-401": 502, "error-500": 502, "error-503": 502, "error-529": 502}
FAULTS |= {"rate-limit-seconds": 429}
# Of which type the exception is, by status.
TYPES = {
    400: "BadRequestError",
    401: "AuthenticationError",
    403: "PermissionDeniedError",
    404: "NotFoundError",
    413: "APIStatusError",
    429: "RateLimitError",
    502: "InternalServerError",
}


@pytest.fixture(scope="module")
def gateway(tmp_path_factory):
    folder = tmp_path_factory.mktemp("errors")
    sim, address = rig.start_sim(folder)
    config = {"keys": KEYS, "limits": {"request-body": "1MiB"}, "providers": [], "models": []}
    for dialect in PACKAGES:
        config["providers"].append(rig.provider(f"good-{dialect}", dialect, address, discover=False))
        # A provider for each: what one fault does to a key or a target must not decide another.
        for fault in FAULTS:
            for caller in PACKAGES:
                for stream in (False, True):
                    name = f"{fault}-{dialect}-{caller}-{stream}"
                    config["providers"].append(rig.provider(name, dialect, address, discover=False))
                    config["models"].append(rig.model(name, f"{name}/any!{fault}"))
    config["models"] += [rig.model(name, "good-openai/any", "good-anthropic/any") for name in ("allowed", "other")]
    gateway = rig.Gateway(folder / "gateway", config)
    yield gateway
    gateway.kill()
    sim.kill()


def client(gateway, dialect, key):
    secret = SECRETS.get(key, key)
    if dialect == "openai":
        return openai.OpenAI(base_url=f"{gateway.url}/v1", api_key=secret, max_retries=0, timeout=30)
    return anthropic.Anthropic(base_url=gateway.url, api_key=secret, max_retries=0, timeout=30)


def ask(gateway, dialect, key="all", model="other", **request):
    with client(gateway, dialect, key) as caller:
        request = {"model": model, "messages": HELLO} | request
        if dialect == "openai":
            return caller.chat.completions.create(**request)
        return caller.messages.create(**({"max_tokens": 8} | request))


def refused(dialect, status, act, has_code=True):
    """The exception that `act` raises: of the package's own type, with the gateway's code."""
    package = PACKAGES[dialect]
    with pytest.raises(getattr(package, TYPES[status])) as refusal:
        act()
    error = refusal.value
    assert error.status_code == status
    assert error.response.headers["content-type"].startswith("application/json")
    # The packages unwrap differently: one shows what is inside `error`, the other the whole body.
    body = error.body if dialect == "openai" else error.body["error"]
    assert body["message"] and body["type"], error.body
    assert not has_code or body["code"].startswith("TW"), error.body
    if dialect == "anthropic":
        assert error.body["type"] == "error"
    return error, body


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("wire", PACKAGES)
@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("dialect", PACKAGES)
def test_what_the_provider_refuses(gateway, dialect, fault, wire, stream):
    status = FAULTS[fault]
    # What the provider says of a wrong request is passed on in its own words.
    error, _ = refused(
        dialect,
        status,
        lambda: ask(gateway, dialect, model=f"{fault}-{wire}-{dialect}-{stream}", stream=stream),
        has_code=status != 400,
    )
    if status == 429:
        assert int(error.response.headers["retry-after"]) >= 1


@pytest.mark.parametrize("dialect", PACKAGES)
def test_400_a_request_that_is_wrong(gateway, dialect):
    _, body = refused(dialect, 400, lambda: ask(gateway, dialect, messages="hello"))
    assert body["type"] == "invalid_request_error"


@pytest.mark.parametrize("key", ["tw-nobody-0123456789", "tw-all-0123456789abcdeF", "tw-all-0123456789abcde"])
@pytest.mark.parametrize("dialect", PACKAGES)
def test_401_a_key_that_nobody_has(gateway, dialect, key):
    _, body = refused(dialect, 401, lambda: ask(gateway, dialect, key))
    assert body["code"] == "TW1015"
    assert key not in body["message"]


@pytest.mark.parametrize("dialect", PACKAGES)
def test_401_no_key_at_all(gateway, dialect):
    path = {"openai": "/v1/chat/completions", "anthropic": "/v1/messages"}[dialect]
    reply = rig.http(f"{gateway.url}{path}", {"model": "other", "max_tokens": 8, "messages": HELLO})
    assert reply.status == 401 and reply.json()["error"]["code"] == "TW1015"


@pytest.mark.parametrize("dialect", PACKAGES)
def test_403_a_model_that_the_key_may_not_use(gateway, dialect):
    assert ask(gateway, dialect, "some", "allowed").model
    _, body = refused(dialect, 403, lambda: ask(gateway, dialect, "some", "other"))
    assert body["code"] == "TW1017"


# Names that lead to the same model in another way must not lead around the list.
ODD_NAMES = ("good-openai/any", "good-anthropic/any", "allowed/../other", "allowed\x00", "ALLOWED", "")


@pytest.mark.parametrize("model", ODD_NAMES)
@pytest.mark.parametrize("dialect", PACKAGES)
def test_odd_names_do_not_lead_around_the_allow_list(gateway, dialect, model):
    package = PACKAGES[dialect]
    with pytest.raises((package.PermissionDeniedError, package.NotFoundError, package.BadRequestError)):
        ask(gateway, dialect, "some", model)


@pytest.mark.parametrize("dialect", PACKAGES)
def test_404_a_model_that_nobody_has(gateway, dialect):
    _, body = refused(dialect, 404, lambda: ask(gateway, dialect, model="othr"))
    assert body["code"] == "TW1003" and "other" in body["message"]


@pytest.mark.parametrize("dialect", PACKAGES)
def test_413_a_body_that_is_too_large(gateway, dialect):
    error, _ = refused(
        dialect, 413, lambda: ask(gateway, dialect, messages=[{"role": "user", "content": "a" * (2 << 20)}])
    )
    if dialect == "anthropic":
        assert type(error) is anthropic.RequestTooLargeError


@pytest.mark.parametrize("dialect", PACKAGES)
def test_429_more_calls_than_the_key_has_a_minute(gateway, dialect):
    def until_refused():
        # One a minute, whichever dialect has used it up before.
        for _ in range(2):
            ask(gateway, dialect, "slow")

    error, body = refused(dialect, 429, until_refused)
    assert body["code"] == "TW1018"
    assert 1 <= int(error.response.headers["retry-after"]) <= 61


@pytest.mark.parametrize("dialect", PACKAGES)
def test_429_more_tokens_than_the_key_has_a_minute(gateway, dialect):
    long = [{"role": "user", "content": "many words " * 200}]
    error, body = refused(dialect, 429, lambda: ask(gateway, dialect, "narrow", messages=long))
    assert body["code"] == "TW1019"


def test_each_way_to_bring_a_key(gateway):
    secret = SECRETS["some"]
    body = {"model": "allowed", "max_tokens": 8, "messages": HELLO}
    basic = "Basic " + base64.b64encode(f"anybody:{secret}".encode()).decode()
    for headers in ({"authorization": f"Bearer {secret}"}, {"x-api-key": secret}, {"authorization": basic}):
        for path in ("/v1/chat/completions", "/v1/messages"):
            assert rig.http(f"{gateway.url}{path}", body, headers).status == 200, (path, headers)
    # The caller's key stays here: the provider gets its own.
    with anthropic_client(gateway) as caller, pytest.raises(anthropic.AuthenticationError):
        caller.messages.create(model="allowed", max_tokens=8, messages=HELLO)
