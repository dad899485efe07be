"""What is taken as evidence, told by its bytes; and what is refused or made harmless."""

import io
import stat
import zipfile

import pytest

from audits.filetypes import MAX_BYTES, TEST_VIRUS, TEXT, Refused, media_type, safe_name


def archive(members: dict[str, bytes], *, compression: int = zipfile.ZIP_DEFLATED, mode: int = 0o644) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as made:
        for name, data in members.items():
            member = zipfile.ZipInfo(name)
            member.external_attr = mode << 16
            member.compress_type = compression
            made.writestr(member, data)
    return file.getvalue()


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"%PDF-1.7\n...", "application/pdf"),
        (b"\x89PNG\r\n\x1a\n....", "image/png"),
        (b"\xff\xd8\xff\xe0....", "image/jpeg"),
        (b"RIFF....WEBPVP8 ", "image/webp"),
        (b"a,b\n1,2\n", TEXT),
        ("\ufeffÜber\r\n".encode(), TEXT),
        (b"<html><script>alert(1)</script></html>", TEXT),
        (b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>", TEXT),
        (archive({"a.txt": b"x"}), "application/zip"),
        (
            archive({"[Content_Types].xml": b"<x/>", "xl/workbook.xml": b"<x/>"}),
            "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        ),
    ],
)
def test_the_type_is_what_the_bytes_say(data: bytes, kind: str) -> None:
    assert media_type(data) == kind


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "empty"),
        (b"a" * (MAX_BYTES + 1), "larger than 25 MiB"),
        (TEST_VIRUS, "test virus"),
        (b"text before " + TEST_VIRUS, "test virus"),
        (b"MZ\x90\0", "Programs"),
        (b"\x7fELF\x02", "Programs"),
        (b"#!/bin/sh\nrm -rf /\n", "Programs"),
        (b"\x00\x01\x02\x03", "not known"),
        (b"\xff\xfe\x00\x00", "not known"),
        (b"PK\x03\x04 and then nothing", "damaged"),
        (archive({"../../etc/cron.d/x": b"x"}), "outside it"),
        (archive({"..\\..\\x": b"x"}), "outside it"),
        (archive({"/etc/passwd": b"x"}), "outside it"),
        (archive({"C:/x": b"x"}), "outside it"),
        (archive({"link": b"/etc/passwd"}, mode=stat.S_IFLNK | 0o777), "symbolic link"),
        (archive({"bomb": bytes(30 * 2**20)}), "far more"),
        (archive({"inner.zip": archive({"a": b"x"})}), "another archive"),
        (archive({"a.txt": TEST_VIRUS}), "test virus"),
        (archive({"a.txt": b"x" * 65_510 + TEST_VIRUS}, compression=zipfile.ZIP_STORED), "test virus"),
        (archive({f"{n}": b"" for n in range(2_001)}), "2,000 members"),
        (archive({"[Content_Types].xml": b"", "word/vbaProject.bin": b"x"}), "macros"),
    ],
)
def test_what_does_harm_is_refused(data: bytes, why: str) -> None:
    with pytest.raises(Refused, match=why):
        media_type(data)


def test_an_archive_that_lies_about_its_size_is_counted() -> None:
    data = bytearray(archive({"bomb": bytes(30 * 2**20)}))
    for mark, offset in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        at = data.index(mark) + offset
        data[at : at + 4] = (100).to_bytes(4, "little")
    with pytest.raises(Refused):
        media_type(bytes(data))


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\Users\\me\\scan.pdf", "scan.pdf"),
        ("a\r\nSet-Cookie: x.txt", "aSet-Cookie x.txt"),
        ("invoice\u202efdp.exe", "invoicefdp.exe"),
        ("  .hidden ", "hidden"),
        ('"><img src=x>.png', "img src=x.png"),
        ("ü" * 200 + ".pdf", "ü" * 73 + ".pdf"),
    ],
)
def test_a_name_is_a_name_and_nothing_else(given: str, kept: str) -> None:
    assert safe_name(given) == kept


@pytest.mark.parametrize("given", ["", "..", "/", "\0", "a/.."])
def test_no_name_is_refused(given: str) -> None:
    with pytest.raises(Refused, match="needs a name"):
        safe_name(given)
