"""Forms of members and keys. They check shape; rules are the services'."""

from datetime import UTC, date, datetime, time
from typing import Any

from django import forms
from django.core.exceptions import ValidationError

from tenants.models import Scope, SourceSystem
from tenants.roles import Role

DATE = forms.DateInput(attrs={"type": "date"})


def end_of(day: date | None) -> datetime | None:
    """The last moment of a day, UTC."""
    return datetime.combine(day, time.max, UTC) if day else None


class RolesField(forms.MultipleChoiceField):
    """Which roles a member has."""

    widget = forms.CheckboxSelectMultiple

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(choices=Role.choices, error_messages={"required": "Choose at least one role."}, **kwargs)


class ExpiryField(forms.DateField):
    """The last day, which must be ahead; its value is that day's last moment."""

    widget = DATE

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(required=False, label="Expires", **kwargs)

    def clean(self, value: Any) -> datetime | None:
        end = end_of(super().clean(value))
        if end is not None and end < datetime.now(UTC):
            raise ValidationError("This day is over.")
        return end


class MemberForm(forms.Form):
    """Add a person."""

    email = forms.EmailField(label="E-mail", widget=forms.EmailInput(attrs={"autocomplete": "off"}))
    name = forms.CharField(max_length=120, required=False, help_text="For somebody who is new here.")
    roles = RolesField()


class RolesForm(forms.Form):
    """Change a person's roles."""

    roles = RolesField()


class KeyForm(forms.Form):
    """Make a key."""

    name = forms.CharField(max_length=120, help_text="What uses it.")
    scopes = forms.MultipleChoiceField(choices=Scope.choices, widget=forms.CheckboxSelectMultiple, label="May")
    source = forms.CharField(
        max_length=120,
        required=False,
        help_text="For an ingest key: the application that sends records. A new name makes a new source.",
        widget=forms.TextInput(attrs={"list": "sources", "autocomplete": "off"}),
    )
    expires_at = ExpiryField()

    def existing_source(self) -> SourceSystem | None:
        """The source of that name, if there is one."""
        return SourceSystem.objects.filter(name=self.cleaned_data["source"].strip()).first()
