"""Forms of the case pages. They check shape; rules are the services'."""

from collections.abc import Mapping
from typing import Any

from django import forms

from audits.models import CaseType, FindingKind, Severity
from audits.populations import SamplePlan
from audits.sampling import Method
from audits.sampling.lots import AQLS, Level
from audits.sampling.methods import Rule, Stratify
from audits.services import Brief, FindingText
from tenants.models import Membership, User

DATE = forms.DateInput(attrs={"type": "date"})
LINES = forms.Textarea(attrs={"rows": 3})


def people_with(permission: str) -> list[User]:
    """The members whose roles give a permission, by name."""
    seats = Membership.objects.select_related("user")
    return sorted((seat.user for seat in seats if permission in seat.permissions), key=str)


class PersonField(forms.ChoiceField):
    """A choice among the members who hold a permission; its value is the `User`, or None."""

    def __init__(self, *, permission: str, **kwargs: Any) -> None:
        self.permission = permission
        self.people: dict[str, User] = {}
        super().__init__(**kwargs)

    def offer(self) -> None:
        """Read the members: called for each form, inside the tenant."""
        self.people = {str(user.pk): user for user in people_with(self.permission)}
        self.choices = [("", "—"), *((pk, str(user)) for pk, user in self.people.items())]

    def clean(self, value: Any) -> User | None:
        return self.people.get(super().clean(value))


class PeopleForm(forms.Form):
    """A form that offers members."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for field in self.fields.values():
            if isinstance(field, PersonField):
                field.offer()


class CaseForm(PeopleForm):
    """Open a case; with a preparer, a reviewer and criteria it is planned at once."""

    title = forms.CharField(max_length=200)
    type = forms.ChoiceField(choices=CaseType.choices, initial=CaseType.PERIODIC)
    objective = forms.CharField(widget=LINES, required=False, help_text="What the examination is to establish.")
    criteria = forms.CharField(widget=LINES, required=False, help_text="What the decisions are held against.")
    preparer = PersonField(permission="case.work", required=False, help_text="Reviews the items.")
    reviewer = PersonField(
        permission="case.review", required=False, help_text="Reviews the preparer's work: another person."
    )
    due = forms.DateField(required=False, widget=DATE)

    def brief(self) -> Brief:
        """What the service wants to know."""
        data = self.cleaned_data
        return Brief(data["title"], data["type"], data["objective"], data["criteria"], data["due"])

    @property
    def is_plan(self) -> bool:
        """Whether it says enough to plan the case."""
        return all(self.cleaned_data.get(name) for name in ("preparer", "reviewer", "criteria"))


class VersionedForm(forms.Form):
    """A step of a case: carries the version that the person saw."""

    version = forms.IntegerField(widget=forms.HiddenInput)


class PlanForm(PeopleForm, VersionedForm):
    objective = forms.CharField(widget=LINES, required=False)
    criteria = forms.CharField(widget=LINES, help_text="What the decisions are held against.")
    preparer = PersonField(permission="case.work")
    reviewer = PersonField(permission="case.review", help_text="Somebody else than the preparer.")


class ReasonForm(VersionedForm):
    version = forms.IntegerField(widget=forms.HiddenInput, required=False)
    reason = forms.CharField(required=False)


RATE: dict[str, Any] = {"min_value": 0, "max_value": 99, "decimal_places": 2, "required": False}
AMOUNT: dict[str, Any] = {"min_value": 0, "max_digits": 15, "decimal_places": 6, "required": False}
RISKED = ("tolerable", "expected", "overreliance")
SAMPLE_FIELDS: Mapping[Method, tuple[str, ...]] = {
    Method.ATTRIBUTE: RISKED,
    Method.DISCOVERY: ("critical", "overreliance"),
    Method.LOT: ("level", "aql", "overreliance"),
    Method.STRATIFIED: ("stratify_by", "minimum", *RISKED, "size"),
    Method.MONETARY: ("tolerable_amount", "expected_amount", "overreliance"),
    Method.RANDOM: ("size", "overreliance"),
    Method.EXCEPTIONS: ("rules",),
    Method.ALL: (),
}
NEEDED: Mapping[Method, tuple[str, ...]] = {
    Method.ATTRIBUTE: ("tolerable",),
    Method.DISCOVERY: ("critical",),
    Method.STRATIFIED: ("stratify_by",),
    Method.MONETARY: ("tolerable_amount",),
    Method.RANDOM: ("size",),
    Method.EXCEPTIONS: ("rules",),
    Method.ALL: ("justification",),
}


class SampleForm(VersionedForm):
    """What one method needs to know. Rates in per cent, amounts in units of money."""

    method = forms.ChoiceField(choices=Method.choices, widget=forms.HiddenInput)
    stratify_by = forms.ChoiceField(label="Strata by", choices=Stratify.choices, initial=Stratify.OUTCOME)
    minimum = forms.IntegerField(
        label="At least, from each stratum", min_value=1, max_value=1_000, initial=5, required=False
    )
    rules = forms.MultipleChoiceField(
        label="What makes a decision an exception", choices=Rule.choices, widget=forms.CheckboxSelectMultiple
    )
    level = forms.ChoiceField(label="Inspection level", choices=Level.choices, initial=Level.II)
    aql = forms.ChoiceField(
        label="AQL, % nonconforming", choices=[(aql, aql) for aql in AQLS], initial="1.0",
        help_text="The acceptance quality limit: the worst process average that is still tolerable.",
    )  # fmt: skip
    critical = forms.DecimalField(
        label="Critical rate, %", initial=1, help_text="A rate that must not go undiscovered.", **RATE
    )
    tolerable = forms.DecimalField(label="Tolerable rate, %", initial=5, **RATE)
    expected = forms.DecimalField(label="Expected rate, %", initial=0, **RATE)
    tolerable_amount = forms.DecimalField(
        label="Tolerable misstatement", help_text="In the currency of the costs.", **AMOUNT
    )
    expected_amount = forms.DecimalField(label="Expected misstatement", initial=0, **AMOUNT)
    overreliance = forms.TypedChoiceField(
        label="Risk of overreliance", choices=[(500, "5 %"), (1000, "10 %")], coerce=int, initial=500
    )
    size = forms.IntegerField(
        label="Size", required=False, min_value=1, help_text="Left empty, it is computed from the rates."
    )
    justification = forms.CharField(required=False, widget=LINES, help_text="What a reader should know of the choice.")

    def __init__(self, data: Any = None, *, method: Method, **kwargs: Any) -> None:
        super().__init__(data, **kwargs)
        self.of = method
        kept = {"version", "method", "justification", *SAMPLE_FIELDS[method]}
        self.fields = {name: field for name, field in self.fields.items() if name in kept}
        self.fields["method"].initial = method
        for name in NEEDED.get(method, ()):
            self.fields[name].required = True
        if method == Method.RANDOM:
            self.fields["size"].help_text = ""
        if method == Method.ALL:
            self.fields["justification"].help_text = "Why every decision is examined."

    def plan(self) -> SamplePlan:
        """What the service wants to know."""
        said = {name: value for name, value in self.cleaned_data.items() if value not in (None, "")}
        rate = said.get("critical", said.get("tolerable"))
        return SamplePlan(
            method=self.of,
            size=said.get("size", 0),
            expected_bp=int(said.get("expected", 0) * 100),
            tolerable_bp=None if rate is None else int(rate * 100),
            overreliance_bp=said.get("overreliance", 500),
            justification=said.get("justification", ""),
            level=Level(said.get("level", Level.II)),
            aql=said.get("aql", ""),
            stratify_by=Stratify(said["stratify_by"]) if "stratify_by" in said else None,
            minimum=said.get("minimum", 1),
            rules=tuple(Rule(rule) for rule in said.get("rules", ())),
            expected_micros=int(said.get("expected_amount", 0) * 1_000_000),
            tolerable_micros=int(said.get("tolerable_amount", 0) * 1_000_000),
        )


class ItemForm(forms.Form):
    """A conclusion; `result` is the button that was pressed."""

    result = forms.CharField(max_length=10)
    note = forms.CharField(max_length=2000, required=False)


class FindingForm(forms.Form):
    """The five C's, and which failed item they are about."""

    item = forms.TypedChoiceField(coerce=int, empty_value=None, required=False, help_text="Or the case as a whole.")
    kind = forms.ChoiceField(choices=FindingKind.choices, initial=FindingKind.MINOR)
    severity = forms.ChoiceField(choices=Severity.choices, initial=Severity.MEDIUM)
    criteria = forms.CharField(widget=LINES, help_text="What should be.")
    condition = forms.CharField(widget=LINES, help_text="What is.")
    cause = forms.CharField(widget=LINES, required=False, help_text="Why it is so.")
    effect = forms.CharField(widget=LINES, required=False, help_text="What follows from it.")
    recommendation = forms.CharField(widget=LINES, required=False, help_text="What to do.")
    due = forms.DateField(required=False, widget=DATE)

    def __init__(self, *args: Any, ordinals: list[int], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        choices = [("", "The case as a whole"), *((ordinal, f"Item {ordinal}") for ordinal in ordinals)]
        self.fields["item"].choices = choices  # type: ignore[attr-defined]

    def text(self) -> FindingText:
        """What the service wants to know."""
        return FindingText(**{name: value for name, value in self.cleaned_data.items() if name != "item"})


class SignForm(VersionedForm):
    password = forms.CharField(
        label="Your password, again", widget=forms.PasswordInput(attrs={"autocomplete": "current-password"})
    )
    totp = forms.CharField(
        label="A code of your authenticator app",
        max_length=12,
        widget=forms.TextInput(attrs={"autocomplete": "one-time-code", "inputmode": "numeric"}),
    )

    def __init__(self, *args: Any, asks_code: bool, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not asks_code:
            del self.fields["totp"]
