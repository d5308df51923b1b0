"""Hosts of git repositories over https, as go finds and git fetches them."""

import io
import shutil
import zipfile

from servers import Answer, Site, not_found
from world import FORGE, run

import go_tree

SECRET = "git.corp.test/team/lib"


def forge(world, host, module, address=FORGE, private=False):
    """A host of repositories over https: it says where the module's is, and git gets it there."""
    work = world.folder / "work"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    version = world.tree.versions[module][-1]
    base = f"{go_tree.escaped(module)}/@v/{go_tree.escaped(version)}"
    with zipfile.ZipFile(io.BytesIO(world.tree.files[base + ".zip"])) as archive:
        for name in archive.namelist():
            file = work / name.partition("@")[2].partition("/")[2]
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(archive.read(name))
    git = ["git", "-C", str(work), "-c", "user.name=rig", "-c", "user.email=rig@test"]
    for words in (["init", "-q"], ["add", "-A"], ["commit", "-q", "-m", "all"], ["tag", version]):
        run(*git, *words)
    served = world.folder / "repositories" / module
    run("git", "clone", "-q", "--bare", work, served)
    run("git", "-C", served, "update-server-info")
    site = Site(address, 443, world.tree, certificate=world.authority.sign(host))
    world.inside[host] = address

    def give(path, headers):
        # As forges do it: where a repository is, anybody may know.
        if private and f"{host}/{path}" != module and headers.get("authorization") != private:
            return Answer(401, b"who are you?\n", {"www-authenticate": 'Basic realm="git"'})
        file = world.folder / "repositories" / host / path
        if file.is_file():
            return Answer(body=file.read_bytes(), headers={"content-type": "application/octet-stream"})
        if f"{host}/{path}" == module:
            tag = f'<html><head><meta name="go-import" content="{module} git https://{module}"></head></html>'
            return Answer(body=tag.encode(), headers={"content-type": "text/html"})
        return not_found()

    site.gate = give
    return site


def private(world, version="v1.0.0", **more):
    """A project of the company that needs a module of the company, which only its own host has."""
    world.tree.add(SECRET, version, {"lib.go": 'package lib\n\nfunc Hi() string { return "" }\n'})
    site = forge(world, "git.corp.test", SECRET, **more)
    world.write("go.mod", f"module git.corp.test/team/app\n\ngo 1.20\n\nrequire {SECRET} {version}\n")
    world.write("main.go", f'package main\n\nimport lib "{SECRET}"\n\nfunc main() {{ println(lib.Hi()) }}\n')
    world.write("go.sum", world.tree.go_sum((SECRET, version)))
    return site
