"""Forms of the privacy pages. They check shape; rules are the services'."""

from django import forms

from audits.erasures import MOST_REASON, MOST_SUBJECT, Plea
from audits.models import Ground

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
