"""The sections of the report, in the order of its contents."""

from base64 import b64encode
from collections.abc import Iterator

from reportlab.lib.units import mm
from reportlab.platypus import CondPageBreak, Flowable, KeepTogether, PageBreak, Paragraph, Spacer

from audits.reports import words
from audits.reports.appendix import ItemList, strips
from audits.reports.blocks import (
    ContentsBox,
    Place,
    codes,
    fields,
    heading,
    labelled,
    prose,
    section,
    small,
    table,
    verdict,
)
from audits.reports.canvas import LINE
from audits.reports.charts import ConclusionBar, LimitScale
from audits.reports.data import CONCLUSIONS, FindingLine, Freeze, PolicySetUsed, ReportData, SampleDrawn, SignatureLine
from audits.reports.fonts import lacks, markup
from audits.reports.styles import LEAD, MEASURE, QUIET, SECTION, TITLE, TITLE_LONG
from audits.reports.verification import verification

SECTIONS = 11  # that the contents list
BETWEEN = 22  # air between sections
LONG_TITLE = 70  # characters; longer ones are set smaller
ROOM = 130  # a section begins on this page only where it has so much left


def story(data: ReportData) -> list[Flowable]:
    """The whole report."""
    parts = [
        scope(data),
        population(data),
        method(data),
        results(data),
        findings(data),
        policies(data),
        models(data),
        limitations(data),
        signatures(data),
    ]
    body: list[Flowable] = [*cover(data), *contents()]
    for part in parts:
        body += [CondPageBreak(ROOM), *part, Spacer(1, BETWEEN)]
    return [*body[:-1], PageBreak(), *verification(data), PageBreak(), *appendix(data)]


def cover(data: ReportData) -> list[Flowable]:
    """Who, what, when, in which state, and the opinion. The seal and the frame are the page template's."""
    head = data.head
    facts = [
        ("Case", f"{head.reference}, revision {head.revision}"),
        ("Type", head.type),
        ("Period", words.period(data)),
        ("State", f"{head.state}, as of {words.moment(head.as_of)}"),
        ("Opened", words.moment(head.opened_at)),
        ("Examined", words.examined(data)),
        ("Lead", head.lead),
        ("Preparer", head.preparer),
        ("Reviewer", head.reviewer),
    ]
    kind = "Audit report" if head.is_signed else "Audit report, draft"
    return [
        Spacer(1, 62 * mm),
        *prose(head.organisation, LEAD),
        *prose(head.title, TITLE if len(head.title) <= LONG_TITLE else TITLE_LONG),
        Paragraph(kind, LEAD),
        Spacer(1, 8 * mm),
        *fields(facts),
        Spacer(1, 8 * mm),
        *verdict(words.opinion(data)),
        *small("How to verify this report without us: section 10. The evidence is attached to this file."),
        PageBreak(),
    ]


def contents() -> list[Flowable]:
    """The list of sections, each a link."""
    return [Paragraph("Contents", SECTION), ContentsBox(SECTIONS * LINE), Spacer(1, BETWEEN)]


def scope(data: ReportData) -> list[Flowable]:
    """What is examined, why, and against what."""
    pairs = [(name.replace("_", " ").capitalize(), words.scope_value(name, value)) for name, value in data.scope]
    return [
        *section("1  Scope and criteria"),
        *labelled("Objective", data.head.objective or "None stated."),
        *labelled("Criteria: what the decisions are held against", data.head.criteria or "None stated."),
        *heading("Decisions in scope"),
        *(fields(pairs) or prose("Every decision of the organisation.")),
    ]


def population(data: ReportData) -> list[Flowable]:
    """What was frozen, when, and under which hash."""
    found = data.population
    if found is None:
        return [*section("2  Population"), *prose("The population is not frozen yet.", QUIET)]
    shown = [
        *section("2  Population"),
        *prose(
            "The decisions in scope that the tree of a signed checkpoint covered. Their leaf indexes are fixed by a "
            "hash: nobody can add to the population, or take from it, unseen."
        ),
        *_freeze(found),
    ]
    for number, earlier in enumerate(data.earlier_freezes, start=1):
        shown += [*heading(f"Earlier freeze {number}"), *_freeze(earlier)]
    return shown


def _freeze(found: Freeze) -> list[Flowable]:
    return [
        *fields(
            [
                ("Decisions", f"{found.count:,}"),
                ("Frozen", words.exact(found.frozen_at)),
                ("Checkpoint size", f"{found.checkpoint_size:,} leaves"),
                ("Reason", found.reason),
            ]
        ),
        *codes(
            [
                ("Checkpoint root", b64encode(found.checkpoint_root).decode()),
                ("SHA-256 of indexes", found.sha256.hex()),
            ]
        ),
    ]


def method(data: ReportData) -> list[Flowable]:
    """How the items were chosen, and how anybody chooses them again."""
    shown = [*section("3  Method and sample"), *prose(words.drawing(data))]
    sample = data.sample
    if sample is None:
        return shown
    rates = [
        ("Method", sample.method),
        ("Items (n)", f"{sample.size:,}"),
        ("Acceptable (k)", words.plural(sample.acceptable, "deviation") if sample.expected_rate is not None else ""),
        *((label, value) for label, value in sample.terms if label != "Justification"),
        ("Confidence", "" if sample.seed is None else words.percent(1 - sample.overreliance, 0)),
        ("Drawn", words.exact(sample.drawn_at)),
    ]
    shown += fields(rates)
    if sample.seed:
        shown += codes([("Seed", sample.seed.hex())])
        shown += fields([("Seed checkpoint", f"{sample.seed_checkpoint_size:,} leaves: the first to cover the freeze")])
    if sample.strata:
        shown += [*heading("Strata"), *_strata(sample)]
    return [*shown, *labelled("Justification", sample.justification), *_replaced(data)]


def _strata(sample: SampleDrawn) -> Iterator[Flowable]:
    rows = [[name, value, f"{n:,}", f"{drawn:,}"] for name, n, drawn, value in sample.strata]
    has_cost = any(value for _, _, _, value in sample.strata)
    heads, widths, kinds = ["Stratum", "Cost", "Decisions", "Items"], [MEASURE - 260, 120.0, 70.0, 70.0], "tnnn"
    if not has_cost:
        rows, heads = [[row[0], *row[2:]] for row in rows], ["Stratum", "Decisions", "Items"]
        widths, kinds = [MEASURE - 140, 70.0, 70.0], "tnn"
    yield from table(heads, rows, widths, kinds=kinds)


def _replaced(data: ReportData) -> Iterator[Flowable]:
    """The items that gave way to another, each with the reason."""
    gone = [item for item in data.items if item.replaced_by]
    if not gone:
        return
    yield from heading("Replaced items")
    rows = [[f"{item.ordinal:,}", f"{item.replaced_by:,}", item.note] for item in gone]
    yield from table(["Item", "Replaced by", "Reason"], rows, [44.0, 66.0, MEASURE - 110], kinds="nnt")


def results(data: ReportData) -> list[Flowable]:
    """What the examination found, as figures."""
    shown = section("4  Results")
    if not data.items:
        return [*shown, *prose("No items are drawn yet.", QUIET)]
    shown = [*shown, KeepTogether([ConclusionBar(dict(data.counts)), Spacer(1, 8)])]
    if said := words.evaluation(data):
        shown += prose(said)
    if data.limit and not (data.sample and data.sample.is_everything):
        by_cost = data.sample is not None and data.sample.kind == "monetary"
        title = "Deviating share of the cost" if by_cost else "Deviation rate in the population"
        shown += [KeepTogether([*heading(title), LimitScale(data.limit), Spacer(1, 6)])]
    numbers = [
        [name, *(f"{row[conclusion]:,}" for conclusion in CONCLUSIONS), f"{sum(row.values()):,}"]
        for name, row in words.by_system(data)
    ]
    heads = ["System", *(words.LABELS[conclusion] for conclusion in CONCLUSIONS), "Items"]
    widths = [MEASURE - 6 * 46, *[46.0] * 6]
    return [*shown, *heading("By system"), *table(heads, numbers, widths, kinds="tnnnnnn")]


def findings(data: ReportData) -> list[Flowable]:
    """Each finding by the five C's, with the response."""
    shown = section("5  Findings")
    if not data.findings:
        return [*shown, *prose("None." if data.head.is_signed else "None so far.", QUIET)]
    for finding in data.findings:
        shown += _finding(finding)
    return shown


def _finding(finding: FindingLine) -> Iterator[Flowable]:
    about = f"item {finding.item:,}" if finding.item else "the case as a whole"
    yield CondPageBreak(90)
    yield from heading(f"{finding.reference}  {finding.kind}, {finding.severity.lower()}", outlined=True)
    yield from small(f"On {about}. {finding.state}.")
    yield from labelled("Criteria", finding.criteria)
    yield from labelled("Condition", finding.condition)
    yield from labelled("Cause", finding.cause)
    yield from labelled("Effect", finding.effect)
    yield from labelled("Recommendation", finding.recommendation)
    yield from labelled("Response", finding.response or "None was given.")
    yield from fields([("Owner", finding.owner), ("Due", finding.due.isoformat() if finding.due else "")])


def policies(data: ReportData) -> list[Flowable]:
    """The sets that judged the items, by hash, and what was in them."""
    shown = [
        *section("6  Policies in force"),
        *prose(
            "Each decision is judged by the set of policy versions in force when it was made. A set and a version are "
            "named by the SHA-256 of their canonical bytes; the bundle of the case has those bytes."
        ),
    ]
    for number, used in enumerate(data.policy_sets, start=1):
        shown += _policy_set(number, used)
    return shown


def _policy_set(number: int, used: PolicySetUsed) -> Iterator[Flowable]:
    yield CondPageBreak(80)
    yield from heading(f"Set {number}, for {words.plural(used.items, 'item')}")
    yield from codes([("Set SHA-256", used.sha256.hex())])
    if not used.members:
        yield from prose("No policy was in force.", QUIET)
        return
    rows = [
        [f"{member.title} ({member.slug})" if member.title else member.slug, member.version, member.mode, member.sha256]
        for member in used.members
    ]
    widths = [MEASURE - 44 - 48 - 240, 44, 48, 240]
    yield from table(["Policy", "Version", "Mode", "Version SHA-256"], rows, widths, kinds="tttc")


def models(data: ReportData) -> list[Flowable]:
    """What answered, in which version of which system."""
    if not data.items:
        return [*section("7  Models and systems met"), *prose("No items are drawn yet.", QUIET)]
    widths = [MEASURE * 0.46, MEASURE * 0.42, MEASURE * 0.12]
    model_rows = [[met.name, met.detail, f"{met.items:,}"] for met in data.models]
    system_rows = [[met.name, met.detail or "not stated", f"{met.items:,}"] for met in data.systems]
    return [
        *section("7  Models and systems met"),
        *table(["Model and version", "Provider, prompt", "Items"], model_rows, widths, kinds="ttn"),
        *table(["System, environment, task", "System version", "Items"], system_rows, widths, kinds="ttn"),
    ]


def limitations(data: ReportData) -> list[Flowable]:
    """What a reader must not read into it; erased data."""
    has_missing = lacks("".join(_texts(data)))
    said = words.limitations(data, has_missing_letters=has_missing)
    return [*section("8  Limitations and erased data"), *(part for text in said for part in prose(text))]


def _texts(data: ReportData) -> Iterator[str]:
    head = data.head
    yield from (head.organisation, head.title, head.objective, head.criteria, head.lead, head.preparer, head.reviewer)
    for finding in data.findings:
        yield from (finding.criteria, finding.condition, finding.cause, finding.effect, finding.recommendation)
        yield from (finding.response, finding.owner)
    for item in data.items:
        yield from (item.note, item.system, item.model)
    yield from (signature.name for signature in data.signatures)
    yield from (value for _, value in data.scope)


def signatures(data: ReportData) -> list[Flowable]:
    """Who signed what, when, and with which meaning (21 CFR 11.50)."""
    shown = [
        *section("9  Signatures"),
        *prose(
            "Each signature binds to the SHA-256 of evidence.json, the canonical content of this revision, and is an "
            "event of the log under its own id. The signer proved again at signing who they are."
        ),
        *codes([("Content SHA-256", data.content_sha256.hex())]),
    ]
    if not data.signatures:
        return [*shown, *prose("Nobody has signed this revision.", QUIET)]
    for signature in data.signatures:
        shown += [KeepTogether(list(_signature(signature)))]
    if signer := data.file_signer:
        said = [("Certificate", signer.subject), ("SHA-256", signer.sha256.hex())]
        shown += [KeepTogether([*heading("The file itself (PAdES)"), *codes(said)])]
    return shown


def _signature(signature: SignatureLine) -> Iterator[Flowable]:
    yield from heading(signature.name)
    yield from fields(
        [
            ("Meaning", signature.meaning),
            ("Role", signature.role.capitalize()),
            ("Signed", words.exact(signature.signed_at)),
            ("Proved by", ", ".join(signature.methods)),
        ]
    )
    yield from codes([("Payload SHA-256", signature.payload_sha256.hex()), ("Event", str(signature.event))])


def appendix(data: ReportData) -> list[Flowable]:
    """Every item with its metadata, its leaf and its conclusion."""
    title = "Appendix  Items"
    intro = (
        "In the order of selection. What was asked and answered is not in this report: it is opened in the product, or "
        "in the bundle, by those whose role allows it. Each opening is recorded."
    )
    rows = list(strips(data.items))
    return [
        Place(title, 0),
        Paragraph(markup(title, SECTION.fontName), SECTION),
        *prose(intro),
        *([ItemList(rows)] if rows else prose("No items are drawn yet.", QUIET)),
    ]
