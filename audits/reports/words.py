"""What the figures of a case mean, in sentences. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from audits.reports.data import CONCLUSIONS, EXCEPTION, FAIL, NOT_APPLICABLE, OPEN, PASS, ReportData, SampleDrawn

LABELS = {PASS: "Pass", FAIL: "Fail", EXCEPTION: "Exception", NOT_APPLICABLE: "Not applicable", OPEN: "Open"}
VERDICTS = {  # by method, where the result is no comparison with a tolerable rate: the headline if good, if bad
    "iso2859": ("Lot accepted", "Lot not accepted"),
    "discovery": ("Nothing discovered", "A deviation was discovered, or too few items were examined"),
    "monetary": ("Within the tolerable misstatement", "Above the tolerable misstatement"),
}
LISTED = 40  # ordinals named in a sentence


@dataclass(frozen=True, slots=True)
class Opinion:
    """The result in a headline and its basis. `tone` is `good`, `bad` or `none` (for a draft, or nothing to say)."""

    headline: str
    basis: str
    tone: str


def moment(at: datetime) -> str:
    """`2026-11-24 15:04 UTC`."""
    return f"{at:%Y-%m-%d %H:%M} UTC"


def exact(at: datetime) -> str:
    """To the second: `2026-11-24 15:04:27 UTC`."""
    return f"{at:%Y-%m-%d %H:%M:%S} UTC"


def percent(rate: float, digits: int = 1) -> str:
    """`4.9 %`, with a space that does not break."""
    return f"{100 * rate:.{digits}f}\N{NO-BREAK SPACE}%"


def plural(n: int, noun: str) -> str:
    """`1 item`, `1,200 items`."""
    return f"{n:,} {noun}{'' if n == 1 else 's'}"


def verb(n: int, singular: str, more: str) -> str:
    """The form that fits the number."""
    return singular if n == 1 else more


def opinion(data: ReportData) -> Opinion:
    """What the examination says. Nothing, until it is signed."""
    if not data.head.is_signed:
        return Opinion("No opinion yet", "This is a draft: it shows the case as it stood, not signed in full.", "none")
    return _examined(data)


def _examined(data: ReportData) -> Opinion:
    counts = data.counts
    deviations = counts[FAIL] + counts[EXCEPTION]
    n = len(data.items) - counts[NOT_APPLICABLE] - counts[OPEN]
    if n == 0:
        return Opinion("Nothing to conclude", "None of the decisions examined was applicable to the criteria.", "none")
    if data.limit is None or (data.sample and data.sample.is_everything):
        ruled = data.sample is not None and data.sample.kind == "exceptions"
        how = "was held against the rules; the exceptions were examined" if ruled else "was examined"
        basis = f"Every decision of the population {how}. {_deviate(deviations, n)}"
        return Opinion("No deviations found" if not deviations else "Deviations found", basis, _tone(deviations == 0))
    basis = evaluation(data)
    if data.sample and data.sample.kind in VERDICTS:
        good, bad = VERDICTS[data.sample.kind]
        return Opinion(good if data.limit.is_acceptable else bad, basis, _tone(data.limit.is_acceptable))
    if data.limit.tolerable is None:
        headline = "No deviations found in the sample" if not deviations else "Deviations found in the sample"
        return Opinion(headline, f"{basis} No tolerable rate was set beforehand.", _tone(deviations == 0))
    if data.limit.is_acceptable:
        return Opinion("Within the tolerable rate", basis, "good")
    return Opinion("Above the tolerable rate", basis, "bad")


def _tone(is_good: bool) -> str:
    return "good" if is_good else "bad"


def _deviate(deviations: int, n: int) -> str:
    if not deviations:
        return f"None of the {plural(n, 'applicable decision')} deviates from the criteria."
    of = f"{deviations:,} of {plural(n, 'applicable decision')}"
    return f"{of} {verb(deviations, 'deviates', 'deviate')} from the criteria."


def evaluation(data: ReportData) -> str:
    """The sample's result as an auditor states it; empty where everything was examined, or nothing yet."""
    limit, sample = data.limit, data.sample
    if limit is None or sample is None:
        return ""
    if sample.kind in {"iso2859", "discovery", "monetary"}:
        return f"{limit.words} ({limit.basis})."
    confidence = percent(1 - sample.overreliance, 0)
    said = (
        f"{_deviate(limit.deviations, limit.n)} With {confidence} confidence, at most {percent(limit.upper)} of the "
        f"population deviates ({limit.basis})"
    )
    if limit.tolerable is None:
        return f"{said}."
    relation = "does not exceed" if limit.is_acceptable else "exceeds"
    return f"{said}, which {relation} the tolerable rate of {percent(limit.tolerable)}."


RANKED = "in the order of SHA-256(seed, leaf index); nobody knew the seed when the population was frozen"


def drawing(data: ReportData) -> str:
    """How the items were selected."""
    sample, population = data.sample, data.population
    if sample is None or population is None:
        return "No sample is drawn yet."
    if sample.kind == "exceptions":
        return (
            f"Every one of the {plural(population.count, 'decision')} was held against the rules below, as recorded, "
            f"without a person; the {plural(sample.size, 'exception')} {verb(sample.size, 'is', 'are')} examined here."
        )
    if sample.is_everything:
        return f"Every decision of the population is examined: {population.count:,} of {population.count:,}."
    of = f"{plural(sample.size, 'item')} of {population.count:,}"
    if sample.kind == "monetary":
        return (
            f"{of}, in proportion to cost: the decisions that cost the interval of {sample.interval} or more for "
            "certain; of the others, laid end to end in the order of the log, each that a step of the interval falls "
            "into, from a start that the seed gives. Nobody knew the seed when the population was frozen."
        )
    return f"{of}, {_sized(sample)}{RANKED}.{_why(sample)}"


def _sized(sample: SampleDrawn) -> str:
    if sample.kind == "stratified":
        return "from each stratum in proportion, rounded up, "
    is_set = sample.kind == "random" or (sample.kind == "attribute" and sample.expected_rate is None)
    return "the size set by the auditor, " if is_set else ""


def _why(sample: SampleDrawn) -> str:
    """Why there are so many."""
    accepts = f"the plan accepts {plural(sample.acceptable, 'deviation')}"
    if sample.kind == "iso2859":
        return (
            f" Single sampling plan of ISO 2859-1, normal inspection, code letter {sample.code_letter}: the lot is "
            f"accepted at up to {plural(sample.acceptable, 'nonconforming item')}."
        )
    if sample.kind == "discovery" and sample.tolerable_rate is not None:
        return (
            f" The size is the smallest that meets a deviation with {percent(1 - sample.overreliance, 0)} probability "
            f"if {percent(sample.tolerable_rate)} of the population deviate (hypergeometric)."
        )
    if sample.expected_rate is None or sample.tolerable_rate is None:
        return ""
    law = "Poisson" if sample.kind == "stratified" else "binomial"
    return (
        f" The size is the smallest for an expected deviation rate of {percent(sample.expected_rate)}, a "
        f"tolerable rate of {percent(sample.tolerable_rate)} and a risk of overreliance of "
        f"{percent(sample.overreliance)} ({law}); {accepts}."
    )


def examined(data: ReportData) -> str:
    """`93 of 41,802 decisions; 1 finding`."""
    if data.population is None or not data.items:
        return ""
    of = f"{len(data.items):,} of {plural(data.population.count, 'decision')}"
    return f"{of}; {plural(len(data.findings), 'finding')}"


def period(data: ReportData) -> str:
    """The scope's period; where it sets none, when the examined decisions were made."""
    scope = dict(data.scope)
    if "since" in scope or "until" in scope:
        since, until = (_day(scope[name]) if name in scope else "" for name in ("since", "until"))
        return f"{since} to {until}" if since and until else f"From {since}" if since else f"Until {until}"
    if not data.items:
        return "Not limited"
    times = [item.occurred_at for item in data.items]
    first, last = f"{min(times):%Y-%m-%d}", f"{max(times):%Y-%m-%d}"
    met = first if first == last else f"{first} to {last}"
    return f"Not limited; decisions examined are of {met}"


def scope_value(name: str, value: str) -> str:
    """A member of the scope as people read it."""
    return exact(datetime.fromisoformat(value).astimezone(UTC)) if name in {"since", "until"} else value


def _day(text: str) -> str:
    at = datetime.fromisoformat(text)
    return f"{at:%Y-%m-%d}" if (at.hour, at.minute, at.second) == (0, 0, 0) else f"{at:%Y-%m-%d %H:%M}"


def ordinals(numbers: tuple[int, ...]) -> str:
    """`items 3, 7 and 9`, at most `LISTED` of them."""
    shown = [f"{number:,}" for number in numbers[:LISTED]]
    if len(numbers) > LISTED:
        return f"items {', '.join(shown)} and {len(numbers) - LISTED:,} more, marked in the appendix"
    if len(shown) == 1:
        return f"item {shown[0]}"
    return f"items {', '.join(shown[:-1])} and {shown[-1]}"


def limitations(data: ReportData, *, has_missing_letters: bool) -> Iterator[str]:
    """What a reader must not read into the report."""
    yield (
        "The ledger proves that what was submitted was not changed, removed or reordered afterwards. It does not prove "
        "that an application submitted every decision it made, nor that what it submitted is true."
    )
    if not data.head.is_signed:
        yield "The report is a draft: conclusions and findings may still change."
    if n_open := data.counts[OPEN]:
        yield f"{plural(n_open, 'item')} {verb(n_open, 'has', 'have')} no conclusion yet."
    if n_na := data.counts[NOT_APPLICABLE]:
        yield f"{plural(n_na, 'item')} {verb(n_na, 'was', 'were')} not applicable to the criteria: no rate counts them."
    if data.erased:
        yield (
            f"The content of {ordinals(data.erased)} was erased before this report was built. Their records, "
            "conclusions and proofs stay; what was asked and answered cannot be read again."
        )
    if data.earlier_freezes:
        yield (
            f"The population was frozen {len(data.earlier_freezes) + 1} times; the earlier freezes are listed with the "
            "reason for taking it anew."
        )
    yield from _proof_limits(data)
    if has_missing_letters:
        yield (
            "Some characters are not in the report's typefaces, or would act on the page instead of being seen; each "
            "is shown as \N{REPLACEMENT CHARACTER}. The exact text is in evidence.json."
        )
    yield _file_limits(data)


def _file_limits(data: ReportData) -> str:
    claims = "makes no claim to PDF/A or PDF/UA: it is not tagged"
    if data.file_signer is None:
        return (
            f"This file carries no digital signature of its own (PAdES) and {claims}. Its SHA-256 is committed to in "
            "the log, in the event report.built; the signatures of section 9 bind to evidence.json."
        )
    return (
        "The instance signed this file (PAdES) when it was built, so that a reader of PDF shows any change to it. That "
        "signature is the product's, not a person's: those of section 9 bind to evidence.json. The event report.built "
        f"in the log has the SHA-256 of the file, and of its first bytes, as they were before. The file {claims}."
    )


def _proof_limits(data: ReportData) -> Iterator[str]:
    if data.unproven:
        waits = verb(data.unproven, "was", "were")
        yield f"{plural(data.unproven, 'item')} {waits} not yet covered by a signed checkpoint."
    left = len(data.items) - data.unproven - len(data.proofs)
    if left > 0:
        yield (
            f"The proofs of the first {len(data.proofs):,} items are attached; those of the other {left:,} are in the "
            "evidence bundle of the case."
        )


def by_system(data: ReportData) -> list[tuple[str, dict[str, int]]]:
    """Conclusions by system, in the order of their names."""
    table: dict[str, dict[str, int]] = {}
    for item in data.items:
        row = table.setdefault(item.system, dict.fromkeys(CONCLUSIONS, 0))
        row[item.conclusion] += 1
    return sorted(table.items())
