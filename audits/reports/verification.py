"""The page that tells a reader how to check the report without us."""

from base64 import b64encode
from collections.abc import Iterator

from reportlab.lib.units import mm
from reportlab.platypus import Flowable, Paragraph, Table

from audits.reports import words
from audits.reports.blocks import code, codes, fields, heading, prose, section, small, steps
from audits.reports.charts import QrCode
from audits.reports.data import Ledger, ReportData, SampleDrawn
from audits.reports.fonts import MONO, markup
from audits.reports.styles import CELLS, MEASURE, QUIET, SMALL

QR_SIDE = 36 * mm


def verification(data: ReportData) -> list[Flowable]:
    """The signed head, the keys, the steps."""
    shown = section("10  Ledger and verification")
    if data.ledger is None:
        return [*shown, *prose("The log has no signed checkpoint that this case depends on yet.", QUIET)]
    return [
        *shown,
        _head(data, data.ledger),
        *heading("Signed checkpoint (attached as checkpoint.txt)"),
        *code(data.ledger.note),
        *heading("Keys that have signed this log"),
        *code("\n".join(data.ledger.vkeys)),
        *small(
            "A key printed here is what this report claims. Compare it with the one that you got over another channel."
        ),
        *heading("Checking it offline"),
        *steps(instructions(data)),
    ]


def _head(data: ReportData, ledger: Ledger) -> Table:
    said = [
        *prose(
            "Every decision, every step of this case and every signature is a leaf of an append-only Merkle tree (RFC "
            "6962, C2SP tlog-tiles). The checkpoint below commits to the leaves before it. What came later, such as "
            "the last signature and this report, is under the next one, which the bundle has."
        ),
        *fields(
            [("Origin", ledger.origin), ("Size", f"{ledger.size:,} leaves"), ("Signed", words.exact(ledger.signed_at))]
        ),
        *codes([("Root", b64encode(ledger.root).decode())]),
    ]
    picture = [QrCode(qr_text(data), QR_SIDE), Paragraph("Origin, size, root, case", SMALL)]
    made = Table([[said, picture]], colWidths=[MEASURE - QR_SIDE - 8, QR_SIDE + 8])
    made.setStyle(
        [
            CELLS,
            ("VALIGN", (0, 0), (-1, -1), "TOP"),
            ("LEFTPADDING", (0, 0), (0, -1), 0),
            ("RIGHTPADDING", (-1, 0), (-1, -1), 0),
            ("TOPPADDING", (0, 0), (-1, -1), 0),
        ]
    )
    return made


def qr_text(data: ReportData) -> str:
    """The checkpoint's three lines, then the case, its revision and the hash of its content."""
    ledger, head = data.ledger, data.head
    if ledger is None:
        return ""
    root = b64encode(ledger.root).decode()
    case = f"{head.reference} r{head.revision} {head.case_id}"
    return f"{ledger.origin}\n{ledger.size}\n{root}\n{case}\nsha256:{data.content_sha256.hex()}\n"


def instructions(data: ReportData) -> Iterator[str]:
    """Our own words, with markup."""
    yield (
        f"Save the attachments: {_code('pdfdetach -saveall report.pdf')}. They are evidence.json, checkpoint.txt and a "
        f"{_code('.tlog-proof')} for each of {words.plural(len(data.proofs), 'item')}."
    )
    yield (
        f"{_code('sha256sum evidence.json')} must give the payload SHA-256 of each signature in section 9. It holds "
        "every conclusion, note and finding, as canonical JSON (RFC 8785)."
    )
    yield (
        "Check the signature of checkpoint.txt (C2SP signed note, Ed25519) with the key that you trust; any tool for "
        "signed notes does."
    )
    yield (
        f"For each item: the {_code('extra')} line of its proof is the leaf, in base64. SHA-256(0x00, leaf) must be "
        "the leaf hash in the appendix, and the path must lead from it to the checkpoint's root (RFC 9162, 2.1.3.2)."
    )
    if data.sample and data.sample.seed:
        yield _drawing(data.sample)
    yield (
        "All of this in one command, with the contents that your role may read: download the evidence bundle of the "
        f"case and run {_code('python3 affidavit_verify.py BUNDLE.zip --vkey KEY')}. The verifier is in the bundle and "
        "needs nothing but Python."
    )


def _drawing(sample: SampleDrawn) -> str:
    tool = f"{_code('python3 affidavit_verify.py BUNDLE.zip --resample')} does it; README.txt in the bundle says how."
    if sample.strata:
        return f"Draw the sample again, from the population and the frame in the bundle: {tool}"
    return (
        "Draw the sample again: sort the population's leaf indexes, from the bundle, by SHA-256(seed, index as 8 "
        f"bytes big-endian); the first {sample.size:,} are the items of the appendix, in that order. {tool}"
    )


def _code(text: str) -> str:
    return f'<font face="{MONO}" size="8">{markup(text, MONO)}</font>'
