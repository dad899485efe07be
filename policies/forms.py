"""Forms of the policy pages. They check shape; rules are the services'."""

from datetime import UTC, datetime
from typing import Any

from django import forms

MOMENT = forms.DateTimeInput(attrs={"type": "datetime-local", "step": "1"}, format="%Y-%m-%dT%H:%M:%S")


class MomentField(forms.DateTimeField):
    """A moment in UTC, as browsers' own picker writes it."""

    widget = MOMENT

    def to_python(self, value: Any) -> datetime | None:
        found: datetime | None = super().to_python(value)
        return found.astimezone(UTC) if found else None


class DraftForm(forms.Form):
    """A document as its author types it; checked line by line by the service."""

    source = forms.CharField(
        label="Document",
        help_text="YAML or JSON: a name, rules in CEL over the recorded facts, and examples that are run as you type.",
        widget=forms.Textarea(attrs={"rows": 28, "spellcheck": "false", "class": "mono", "autocomplete": "off"}),
        strip=False,
        max_length=64 * 1024,
    )
    change_reason = forms.CharField(label="Reason for this version", required=False, max_length=500)


class StepForm(forms.Form):
    """A step of the lifecycle: the revision that the person saw, a reason, and when it starts."""

    revision = forms.IntegerField(required=False)
    reason = forms.CharField(required=False, max_length=2000)
    starts = MomentField(required=False)


class DecisionForm(forms.Form):
    """Yes or no, with the token of what was shown."""

    decision = forms.ChoiceField(choices=[("approve", "Approve"), ("reject", "Reject")], widget=forms.RadioSelect)
    comment = forms.CharField(
        required=False, max_length=2000, widget=forms.Textarea(attrs={"rows": 3}), help_text="Needed when you reject."
    )
    password = forms.CharField(
        label="Your password, again", widget=forms.PasswordInput(attrs={"autocomplete": "current-password"})
    )
    token = forms.CharField(widget=forms.HiddenInput)


class AgainstForm(forms.Form):
    """Which version to compare with."""

    against = forms.IntegerField(required=False, min_value=1, max_value=10**9)


class MomentForm(forms.Form):
    """In force when, as known when."""

    at = MomentField(label="In force at (UTC)", required=False)
    known_at = MomentField(label="As known at (UTC)", required=False, help_text="Empty: as known now.")


class BacktestForm(forms.Form):
    """The window to replay."""

    since = MomentField(label="From (UTC)")
    until = MomentField(label="To (UTC)")
    system = forms.CharField(required=False, max_length=200, help_text="Empty: every system.")
