"""Modules from version control through the installed git: what the door makes of a repository is what the go command makes.

The go command itself, sent to the repositories directly, is the judge. Repositories are on this machine; git is told so by
its own setting `url.<base>.insteadOf`.
"""

import os
import subprocess

import pytest

import rig

REPOSITORY = "git.test/team/lib.git"
DATE = "2024-02-03T04:05:06Z"


class Repository:
    """A repository, and a home whose git finds it."""

    def __init__(self, folder):
        self.folder = folder / "repositories/team/lib.git"
        self.folder.mkdir(parents=True)
        self.home = folder / "home"
        self.home.mkdir()
        base = (folder / "repositories").as_uri()
        (self.home / ".gitconfig").write_text(
            f'[url "{base}/"]\n\tinsteadOf = https://git.test/\n[protocol "file"]\n\tallow = always\n'
            "[safe]\n\tdirectory = *\n[user]\n\tname = a\n\temail = a@example.com\n"
        )
        self.git("init", "-q", "-b", "main")

    def git(self, *arguments):
        dates = {"GIT_AUTHOR_DATE": DATE, "GIT_COMMITTER_DATE": DATE, "HOME": str(self.home)}
        done = subprocess.run(
            ["git", *arguments], cwd=self.folder, env=os.environ | dates, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def commit(self, *tags, **files):
        for name, text in files.items():
            file = self.folder / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", "change")
        for tag in tags:
            self.git("tag", "-m", tag, tag)
        return self.git("rev-parse", "HEAD")


@pytest.fixture
def repository(tmp_path):
    repository = Repository(tmp_path / "git")
    files = {
        "go.mod": f"module {REPOSITORY}\n\ngo 1.20\n",
        "lib.go": 'package lib\n\nconst Name = "lib"\n',
        "LICENSE": "All rights reserved.\n",
        "vendor/modules.txt": "# none\n",
        "vendor/example.com/x/x.go": "package x\n",
        "sub/go.mod": f"module {REPOSITORY}/sub\n\ngo 1.20\n",
        "sub/sub.go": "package sub\n",
        "deep/inner/file.txt": "no go here\n",
        ".gitattributes": "*.txt export-ignore\n",
    }
    repository.commit("v1.0.0", "sub/v0.1.0", **files)
    repository.commit("v1.1.0", **{"lib.go": 'package lib\n\nconst Name = "lib 1.1"\n', "a b.go": "package lib\n"})
    repository.commit("v1.2.0-rc.1", **{"rc.go": "package lib\n"})
    second = {"v2/go.mod": f"module {REPOSITORY}/v2\n\ngo 1.20\n", "v2/lib.go": "package lib\n"}
    repository.commit("v2.0.0", **second)
    repository.last = repository.commit(**{"later.go": "package lib\n"})
    return repository


@pytest.fixture
def both(repository, start_gateway, start_go):
    """A go command behind a gateway that asks git, and one that asks git itself."""
    settings = {"modules": {"upstream": "direct", "direct": "git", "sumdb": "off", "verify": "off"}}
    gateway = start_gateway(settings, environment={"HOME": str(repository.home)})
    own = start_go("direct", "off", HOME=str(repository.home), GOVCS="*:git", GONOSUMDB="*")
    return start_go(gateway), own


@pytest.mark.parametrize(
    "version",
    [f"{REPOSITORY}@v1.0.0", f"{REPOSITORY}@v1.1.0", f"{REPOSITORY}@v1.2.0-rc.1", f"{REPOSITORY}/sub@v0.1.0",
     f"{REPOSITORY}/v2@v2.0.0", f"{REPOSITORY}@main", f"{REPOSITORY}@HEAD", f"{REPOSITORY}@latest", f"{REPOSITORY}@v1"],
)  # fmt: skip
def test_a_version_is_what_the_go_command_makes_of_it(both, version):
    through, own = (go.download(version) for go in both)
    own.ok()
    through.ok()
    for name in ("Version", "Sum", "GoModSum"):
        assert through.json()[name] == own.json()[name], name


def test_a_commit_is_found_and_named(both, repository):
    through, own = (go.download(f"{REPOSITORY}@{repository.last[:12]}").ok().json() for go in both)
    assert through["Version"] == own["Version"] and through["Sum"] == own["Sum"]
    again = both[0].download(f"{REPOSITORY}@{through['Version']}").ok().json()
    assert again["Sum"] == own["Sum"]


def test_versions_are_listed(both):
    for path in (REPOSITORY, f"{REPOSITORY}/v2", f"{REPOSITORY}/sub"):
        through, own = (go("list", "-m", "-versions", "-json", f"{path}@latest").ok().json() for go in both)
        assert (through["Version"], through.get("Versions")) == (own["Version"], own.get("Versions"))


def test_what_is_not_in_the_repository(both):
    for version in (
        f"{REPOSITORY}@v1.9.9",
        f"{REPOSITORY}@nothing",
        f"{REPOSITORY}/v3@v3.0.0",
        f"{REPOSITORY}/none@latest",
    ):
        both[1].download(version).refused("")
        both[0].download(version).refused("404 Not Found", "server response:")


def test_a_repository_that_is_not_there_is_no_question_for_a_password(both):
    said = both[0].download("git.test/team/none.git@v1.0.0").refused("server response:")
    assert "password" not in said.out.lower()


def test_git_is_asked_only_where_it_is_allowed(start_gateway, repository):
    with pytest.raises(AssertionError, match="direct: git"):
        start_gateway({"modules": {"upstream": "direct", "sumdb": "off", "verify": "off"}})


def test_names_that_mean_more_to_git_than_a_name(start_gateway, repository):
    settings = {"modules": {"upstream": "direct", "direct": "git", "sumdb": "off", "verify": "off"}}
    gateway = start_gateway(settings, environment={"HOME": str(repository.home)})
    for query in (
        "--upload-pack=touch%20x",
        "-h",
        "refs",
        "main~1",
        "v1.0.0%5E",
        "main%5E{commit}",
        "@{1}",
        "main@{0}",
    ):
        reply = rig.http(f"{gateway.url}/go/{REPOSITORY}/@v/{query}.info")
        assert reply.status == 404, (query, reply)
