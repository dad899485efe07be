"""Forms of the case pages. They check shape; rules are the services'."""

from typing import Any

from django import forms

from audits.models import CaseType, FindingKind, Severity
from audits.populations import SamplePlan
from audits.sampling import Method
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


class SampleForm(VersionedForm):
    """Rates in per cent."""

    method = forms.ChoiceField(choices=Method.choices, initial=Method.ATTRIBUTE)
    tolerable = forms.DecimalField(
        label="Tolerable rate, %", required=False, min_value=0, max_value=99, decimal_places=2, initial=5
    )
    expected = forms.DecimalField(
        label="Expected rate, %", required=False, min_value=0, max_value=99, decimal_places=2, initial=0
    )
    overreliance = forms.TypedChoiceField(
        label="Risk of overreliance", choices=[(500, "5 %"), (1000, "10 %")], coerce=int, initial=500
    )
    size = forms.IntegerField(label="Size, for a random sample", required=False, min_value=1)
    justification = forms.CharField(label="Why every decision, where all are examined", required=False, widget=LINES)

    def plan(self) -> SamplePlan:
        """What the service wants to know."""
        data = self.cleaned_data
        tolerable = data["tolerable"]
        return SamplePlan(
            method=Method(data["method"]),
            size=data["size"] or 0,
            expected_bp=int((data["expected"] or 0) * 100),
            tolerable_bp=None if tolerable is None else int(tolerable * 100),
            overreliance_bp=data["overreliance"],
            justification=data["justification"],
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
