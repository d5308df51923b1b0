"""A checksum database for made-up modules, as in C2SP's signed-note and tlog-tiles and in `go help goproxy`: small, slow and
honest. Who wants it to lie signs whatever he likes with its key.
"""

import base64
import hashlib

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from go_tree import escaped

HEIGHT = 8
FULL = 1 << HEIGHT


def of_leaf(data):
    return hashlib.sha256(b"\0" + data).digest()


def of_nodes(left, right):
    return hashlib.sha256(b"\1" + left + right).digest()


class Log:
    """A Merkle tree over records (RFC 6962 §2.1) with the hashes of all its complete subtrees."""

    def __init__(self, records=()):
        self.records = []
        self.levels = [[]]
        for record in records:
            self.append(record)

    def append(self, record):
        self.records.append(record)
        self.levels[0].append(of_leaf(record))
        level = 0
        while len(self.levels[level]) % 2 == 0:
            if len(self.levels) == level + 1:
                self.levels.append([])
            self.levels[level + 1].append(of_nodes(*self.levels[level][-2:]))
            level += 1
        return len(self.records) - 1

    def root(self, size=None):
        size = len(self.records) if size is None else size
        if size == 0:
            return hashlib.sha256(b"").digest()
        # The complete subtrees from the left, put together from the right.
        parts, start = [], 0
        for level in reversed(range(size.bit_length())):
            if size & (1 << level):
                parts.append(self.levels[level][start >> level])
                start += 1 << level
        root = parts.pop()
        while parts:
            root = of_nodes(parts.pop(), root)
        return root

    def tile(self, level, index, width):
        """The hashes of a tile, or None where the log has not so many."""
        hashes = self.levels[HEIGHT * level] if HEIGHT * level < len(self.levels) else []
        found = hashes[index * FULL : index * FULL + width]
        return b"".join(found) if len(found) == width else None

    def data(self, index, width):
        found = self.records[index * FULL : index * FULL + width]
        return b"".join(record + b"\n" for record in found) if len(found) == width else None


class Database:
    """Lines of go.sum in a log, and the key that signs it."""

    def __init__(self, name="sums.test", seed=b"a checksum database for tests"):
        self.name = name
        self.secret = Ed25519PrivateKey.from_private_bytes(hashlib.sha256(seed).digest())
        public = b"\1" + self.secret.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        self.key_hash = hashlib.sha256(name.encode() + b"\n" + public).digest()[:4]
        self.key = f"{name}+{self.key_hash.hex()}+{base64.b64encode(public).decode()}"
        self.log = Log()
        self.ids = {}

    def add_tree(self, tree):
        for (path, version), (zip_sum, mod_sum) in sorted(tree.sums.items()):
            self.add(path, version, zip_sum, mod_sum)
        return self

    def pad(self, count):
        """Records of modules that nobody asks for, so that proofs take more than one tile."""
        for number in range(count):
            self.add(f"example.net/pad{number}", "v1.0.0", "h1:" + "A" * 43 + "=", "h1:" + "B" * 43 + "=")
        return self

    def add(self, path, version, zip_sum, mod_sum):
        return self.add_text(path, version, f"{path} {version} {zip_sum}\n{path} {version}/go.mod {mod_sum}\n")

    def add_text(self, path, version, text):
        """A record with this text, whatever it says, for whoever looks up this version."""
        self.ids[path, version] = self.log.append(text.encode())
        return self.ids[path, version]

    def sign(self, text):
        """A signed note."""
        signature = base64.b64encode(self.key_hash + self.secret.sign(text.encode())).decode()
        return f"{text}\n— {self.name} {signature}\n".encode()

    def head_text(self, size=None):
        size = len(self.log.records) if size is None else size
        return f"go.sum database tree\n{size}\n{base64.b64encode(self.log.root(size)).decode()}\n"

    def latest(self, size=None):
        return self.sign(self.head_text(size))

    def record(self, number):
        """A record as it stands in front of the note in a lookup."""
        return f"{number}\n".encode() + self.log.records[number] + b"\n"

    def lookup(self, path, version, size=None):
        number = self.ids.get((path, version))
        return None if number is None else self.record(number) + self.latest(size)

    def answer(self, path):
        """What is at `/path`, or None. Paths are as on the wire, with `!` for capitals."""
        if path == "/supported":
            return b""
        if path == "/latest":
            return self.latest()
        if path.startswith("/lookup/"):
            wanted = path.removeprefix("/lookup/")
            for (module, version), _ in self.ids.items():
                if f"{escaped(module)}@{escaped(version)}" == wanted:
                    return self.lookup(module, version)
            return None
        if path.startswith("/tile/"):
            return self.tile(path)
        return None

    def tile(self, path):
        parts = path.removeprefix("/tile/").split("/")
        height, level, *index = parts
        width = FULL
        if len(index) >= 2 and index[-2].endswith(".p"):
            width = int(index.pop())
            index[-1] = index[-1].removesuffix(".p")
        if int(height) != HEIGHT:
            return None
        number = 0
        for part in index:
            number = number * 1000 + int(part.lstrip("x"))
        return self.log.data(number, width) if level == "data" else self.log.tile(int(level), number, width)


def varied(database, change):
    """The same name and key over another history: records pass through `change(number, record)`."""
    other = Database.__new__(Database)
    other.__dict__.update(database.__dict__)
    other.ids = dict(database.ids)
    other.log = Log(change(number, record) for number, record in enumerate(database.log.records))
    return other
