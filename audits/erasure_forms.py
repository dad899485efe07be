"""Forms of the privacy pages. They check shape; rules are the services'."""

from typing import Any

from django import forms

from audits.erasures import MOST_REASON, MOST_SUBJECT, Plea
from audits.holds import HoldText
from audits.models import Ground, HoldScope
from audits.retention_classes import CLASSES, FLOOR_DAYS

LINES = forms.Textarea(attrs={"rows": 3})


class ErasureForm(forms.Form):
    """Ask for an erasure."""

    subject = forms.CharField(
        max_length=MOST_SUBJECT,
        strip=False,
        label="Whose data",
        help_text="The subject or user as your applications send it; session:… for a session of nobody in particular.",
    )
    ground = forms.ChoiceField(choices=Ground.choices, initial=Ground.WITHDRAWN, help_text="GDPR, Article 17(1).")
    reason = forms.CharField(
        max_length=MOST_REASON,
        widget=LINES,
        label="Who asked, and how you know it is them",
        help_text="This stays on record: leave the name out of it.",
    )

    def plea(self) -> Plea:
        """What was filled in."""
        return Plea(**self.cleaned_data)


class ApprovalForm(forms.Form):
    """The approver proves again who they are."""

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


class HoldForm(forms.Form):
    """Place a hold."""

    scope = forms.ChoiceField(choices=HoldScope.choices, initial=HoldScope.RECORD, label="What is held")
    about = forms.CharField(
        max_length=2_000,
        strip=False,
        label="Which",
        help_text="A record's id; a decision list's address; a subject as your applications send it; a case's address.",
    )
    reason = forms.CharField(
        max_length=MOST_REASON, widget=LINES, label="Why, and who demands it", help_text="This stays on record."
    )
    review_on = forms.DateField(
        required=False,
        widget=forms.DateInput(attrs={"type": "date"}),
        label="Look at it again on",
        help_text="It goes on until it is released.",
    )

    def text(self) -> HoldText:
        """What was filled in."""
        return HoldText(**self.cleaned_data)


class RetentionForm(forms.Form):
    """How long a system's content is kept."""

    system = forms.CharField(
        max_length=200, required=False, help_text="As your applications send it; empty: every other system."
    )
    retention_class = forms.ChoiceField(
        choices=[(one.id, one.title) for one in CLASSES.values()], label="Because it is", help_text="Sets the floor."
    )
    keep_days = forms.IntegerField(
        min_value=FLOOR_DAYS,
        initial=396,
        label="Days",
        help_text="Then the content goes; the record and its proof stay.",
    )
