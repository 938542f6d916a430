"""Names of files: as URIs and back, and as parts of other files' names. Nothing else quotes, parses or shortens them.

12:30:01.mp4             a file: only `://` makes a URI
s3://BUCKET/a b?.mp4     its names are taken as they are, blanks and `?` included
file:///data/a%20b.mp4   the file /data/a b.mp4
/data/a?/mlflow.db       sqlite+pysqlite:////data/a%3F/mlflow.db, and back
"""

import hashlib
import re
import urllib.parse
from pathlib import Path

_MEANINGFUL = {character: urllib.parse.quote(character) for character in "%?#"}  # to whoever parses a URI
_HERE = ("", "file")
_PASSWORD = re.compile(r"""(://[^\s/:@"']*:)(?!\d+(?:[/\s"']|$))[^\s"']*@""")  # not http://host:5000/a@b
_SECRET = re.compile(r"""([?&](?:password|passwd|pwd|token|secret|access_token)=)[^&\s"']*""", re.IGNORECASE)
_URI = re.compile(r"file:|[A-Za-z][\w+.-]+:/")


def is_uri(path: str | Path) -> bool:
    """Whether a path names a file on a remote filesystem."""
    return "://" in str(path)


def split_uri(uri: str) -> tuple[str, str]:
    """`scheme://BUCKET/`, and the name below it: of an object as it is, of a `file://` without escapes."""
    scheme, _, rest = uri.partition("://")
    root, _, name = rest.partition("/")
    return f"{scheme}://{root}/", urllib.parse.unquote(name) if scheme == "file" else name


def local_path(uri: str) -> Path | None:
    """The path on this machine that a `file:` URI or a plain path names, else None, as of `mlflow-artifacts:/1/a`."""
    if not _URI.match(uri):
        return Path(uri)
    parts = urllib.parse.urlsplit(uri)
    return Path(urllib.parse.unquote(parts.path)) if parts.scheme in _HERE else None


def sqlite_uri(file: Path) -> str:
    """The URI of a database by which SQLAlchemy opens this very file.

    With anything quoted it names the driver too: of a plain `sqlite:///` MLflow creates the parent folder by its
    quoted name, beside the real one.
    """
    path = str(file)
    quoted = "".join(_MEANINGFUL.get(character, character) for character in path)
    return f"sqlite:///{path}" if quoted == path else f"sqlite+pysqlite:///{quoted}"


def sqlite_file(uri: str) -> Path | None:
    """The file behind a sqlite URI, as SQLAlchemy reads it, options left out; None of any other URI."""
    scheme, colon, rest = uri.partition(":")
    if not colon or scheme.partition("+")[0] != "sqlite":
        return None
    return Path(urllib.parse.unquote(rest.removeprefix("///").partition("?")[0]))


def without_password(text: str) -> str:
    """A URI, or any text that may hold some, as it may be shown or kept: user names stay, passwords go.

    >>> without_password("postgresql://me:secret@db/mlflow")
    'postgresql://me:***@db/mlflow'
    """
    return _SECRET.sub(r"\1***", _PASSWORD.sub(r"\1***@", text))


def short_name(text: str, max_bytes: int = 120) -> str:
    """A text as one part of a path: without separators, and where it is long cut and told apart by a digest."""
    name = text.replace("/", "_").replace("\0", "_")
    if name in ("", ".", ".."):
        return "_" * max(1, len(name))
    whole = name.encode("utf-8", "backslashreplace")
    if len(whole) <= max_bytes:
        return name
    mark = f"-{digest_of(name)}"
    return whole[: max_bytes - len(mark)].decode("utf-8", "ignore") + mark


def digest_of(text: str) -> str:
    """8 hexadecimal digits that tell one text from others."""
    return hashlib.blake2b(text.encode("utf-8", "backslashreplace"), digest_size=4).hexdigest()
