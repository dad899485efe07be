"""What a file of evidence is, told by its bytes, and what is refused. Pure.

Nothing here is ever unpacked, rendered or executed: files leave as attachments of the type found here, with `nosniff`.
A file whose type is not known is refused; HTML, SVG and scripts are text, and are served as text.
"""

import io
import stat
import unicodedata
import zipfile
import zlib

MAX_BYTES = 25 * 2**20
MAX_UNPACKED = 200 * 2**20
MAX_RATIO = 200
MAX_MEMBERS = 2_000
NAME_BYTES = 150
CHUNK = 64 * 1024

TEXT, ZIP = "text/plain; charset=utf-8", "application/zip"
# The European Institute's test file, in two pieces: so that this file is not one.
TEST_VIRUS = b"X5O!P%@AP[4\\PZX54(P^)7CC)7}$" + b"EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*"

MAGIC: tuple[tuple[int, bytes, str], ...] = (
    (0, b"%PDF-", "application/pdf"),
    (0, b"\x89PNG\r\n\x1a\n", "image/png"),
    (0, b"\xff\xd8\xff", "image/jpeg"),
    (0, b"GIF87a", "image/gif"),
    (0, b"GIF89a", "image/gif"),
    (8, b"WEBP", "image/webp"),
    (0, b"II*\0", "image/tiff"),
    (0, b"MM\0*", "image/tiff"),
    (4, b"ftyp", "video/mp4"),
    (0, b"PK\x03\x04", ZIP),
    (0, b"PK\x05\x06", ZIP),
)
PROGRAMS = (b"MZ", b"\x7fELF", b"\xfe\xed\xfa", b"\xcf\xfa\xed\xfe", b"\xca\xfe\xba\xbe", b"#!", b"\0asm")
OFFICE = {
    "word/": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "xl/": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "ppt/": "application/vnd.openxmlformats-officedocument.presentationml.presentation",
}


class Refused(ValueError):
    """A file that is not taken; the message says why, and what to send instead."""


def media_type(data: bytes) -> str:
    """The type of a file's bytes. Raises `Refused` for what is too large, empty, unknown, harmful or a bomb."""
    if not data:
        raise Refused("The file is empty.")
    if len(data) > MAX_BYTES:
        raise Refused(f"The file is larger than {MAX_BYTES // 2**20} MiB; send an extract, or its SHA-256 and place.")
    if TEST_VIRUS in data:
        raise Refused("The file carries the signature of a test virus.")
    if data.startswith(PROGRAMS):
        raise Refused("Programs are not taken as evidence; send what they did, or their text.")
    found = next((kind for at, magic, kind in MAGIC if data.startswith(magic, at)), None)
    if found == ZIP:
        return _archive_type(data)
    return found or _text_type(data)


def _text_type(data: bytes) -> str:
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise Refused("The type of this file is not known; send PDF, a picture, text, or an Office document.") from None
    if any(unicodedata.category(char) == "Cc" and char not in "\t\n\r\f" for char in text):
        raise Refused("The type of this file is not known; send PDF, a picture, text, or an Office document.")
    return TEXT


def _archive_type(data: bytes) -> str:
    """Walk an archive within fixed bounds: its own figures are not believed."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = archive.infolist()
            _check_members(members)
            left = min(MAX_UNPACKED, MAX_RATIO * len(data))
            for member in members:
                left -= _unpacked(archive, member, left)
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, EOFError, OSError):
        raise Refused("The archive is damaged, encrypted, or packed in an unknown way.") from None
    names = [member.filename for member in members]
    if "[Content_Types].xml" in names:
        if any(name.endswith("vbaProject.bin") for name in names):
            raise Refused("The document carries macros; save it without them.")
        return next((kind for start, kind in OFFICE.items() if any(name.startswith(start) for name in names)), ZIP)
    return ZIP


def _check_members(members: list[zipfile.ZipInfo]) -> None:
    if len(members) > MAX_MEMBERS:
        raise Refused(f"The archive has more than {MAX_MEMBERS:,} members.")
    for member in members:
        parts = member.orig_filename.replace("\\", "/").split("/")
        if parts[0] == "" or ".." in parts or ":" in parts[0]:
            raise Refused("A member of the archive is named as a path outside it.")
        if stat.S_ISLNK(member.external_attr >> 16):
            raise Refused("The archive holds a symbolic link.")


def _unpacked(archive: zipfile.ZipFile, member: zipfile.ZipInfo, left: int) -> int:
    """The real size of a member, counted; raises `Refused` past `left`, and for an archive within."""
    size, tail, is_first = 0, b"", True
    with archive.open(member) as file:
        while chunk := file.read(CHUNK):
            size += len(chunk)
            if size > left:
                raise Refused("The archive unpacks to far more than it is; send its members one by one.")
            if is_first and chunk.startswith((b"PK\x03\x04", b"\x1f\x8b", b"7z\xbc\xaf", b"Rar!", b"BZh", b"\xfd7zXZ")):
                raise Refused("The archive holds another archive; send that one by itself.")
            if TEST_VIRUS in tail + chunk:
                raise Refused("The archive carries the signature of a test virus.")
            tail, is_first = chunk[-len(TEST_VIRUS) :], False
    return size


def safe_name(name: str) -> str:
    """A file's own name and nothing else: no folders, no control or direction marks, at most 150 bytes of UTF-8.

    Raises `Refused` where nothing is left.
    """
    last = unicodedata.normalize("NFC", name).replace("\\", "/").rsplit("/", 1)[-1]
    kept = "".join(char for char in last if unicodedata.category(char)[0] != "C" and char not in '<>:"|?*').strip(" .")
    while len(kept.encode()) > NAME_BYTES:
        stem, dot, ending = kept.rpartition(".")
        kept = f"{stem[:-1]}{dot}{ending}" if stem and len(ending) < 12 else kept[:-1]
    if not kept:
        raise Refused("The file needs a name.")
    return kept
