"""Files inside the PDF (ISO 32000 §7.11.4), which any reader lists and saves."""

import hashlib
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from reportlab.pdfbase.pdfdoc import (
    PDFArray,
    PDFDictionary,
    PDFDocument,
    PDFName,
    PDFStream,
    PDFStreamFilterZCompress,
    PDFString,
)

from audits.reports.data import Attachment


def embed(document: PDFDocument, attachments: Sequence[Attachment], at: datetime) -> None:
    """Add the files to the document's catalogue, dated `at`. Names must differ."""
    if not attachments:
        return
    pairs: list[Any] = []
    for attachment in sorted(attachments, key=lambda one: one.name):  # a name tree is in order
        pairs += [PDFString(attachment.name), _specification(document, attachment, at)]
    names = PDFDictionary({"EmbeddedFiles": PDFDictionary({"Names": PDFArray(pairs)})})
    document.Catalog.Names = names


def _specification(document: PDFDocument, attachment: Attachment, at: datetime) -> Any:
    stream = document.Reference(_stream(attachment, at), f"file-{attachment.name}")
    entries = {
        "Type": PDFName("Filespec"),
        "F": PDFString(attachment.name),
        "UF": PDFString(attachment.name),
        "Desc": PDFString(attachment.description),
        "AFRelationship": PDFName("Data"),
        "EF": PDFDictionary({"F": stream, "UF": stream}),
    }
    return document.Reference(PDFDictionary(entries), f"spec-{attachment.name}")


def _stream(attachment: Attachment, at: datetime) -> PDFStream:
    date = PDFString(f"D:{at:%Y%m%d%H%M%S}Z")
    parameters = {
        "Size": len(attachment.content),
        "CheckSum": PDFString(hashlib.md5(attachment.content, usedforsecurity=False).digest(), enc="raw"),
        "CreationDate": date,
        "ModDate": date,
    }
    entries = {
        "Type": PDFName("EmbeddedFile"),
        "Subtype": "/" + attachment.mime.replace("/", "#2F"),  # as a name: reportlab leaves the slash
        "Params": PDFDictionary(parameters),
    }
    return PDFStream(PDFDictionary(entries), attachment.content, filters=[PDFStreamFilterZCompress()])
