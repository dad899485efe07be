"""Forms of members and keys. They check shape; rules are the services'."""

from datetime import UTC, date, datetime, time
from typing import Any

from django import forms
from django.core.exceptions import ValidationError

from tenants.assurance import SignInRules
from tenants.identity import identity_providers
from tenants.models import Scope, SourceSystem
from tenants.roles import Role

DATE = forms.DateInput(attrs={"type": "date"})


def end_of(day: date | None) -> datetime | None:
    """The last moment of a day, UTC."""
    return datetime.combine(day, time.max, UTC) if day else None


def start_of(day: date | None) -> datetime | None:
    """The first moment of a day, UTC."""
    return datetime.combine(day, time.min, UTC) if day else None


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


class SignInRulesForm(forms.Form):
    """What the organisation asks of whoever signs in. An empty day: not asked; a day ahead: a grace until it begins."""

    second_factor_from = forms.DateField(
        required=False,
        label="Ask for a second factor from",
        widget=DATE,
        help_text="Begins at 00:00 UTC. Empty: never.",
    )
    sso_provider = forms.ChoiceField(required=False, label="Single sign-on through")
    sso_from = forms.DateField(
        required=False, label="Ask for single sign-on from", widget=DATE, help_text="Begins at 00:00 UTC."
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        providers = [(provider.id, provider.name) for provider in identity_providers()]
        self.fields["sso_provider"].choices = [("", "Not asked for"), *providers]  # type: ignore[attr-defined]
        if not providers:
            self.fields["sso_provider"].help_text = "The operator of this instance has named no identity provider."

    @staticmethod
    def initial_of(rules: SignInRules) -> dict[str, Any]:
        """The form's values for rules as they stand."""
        return {
            "second_factor_from": rules.second_factor_from and rules.second_factor_from.date(),
            "sso_provider": rules.sso_provider,
            "sso_from": rules.sso_from and rules.sso_from.date(),
        }

    def rules(self) -> SignInRules:
        """What was asked for."""
        data = self.cleaned_data
        return SignInRules(start_of(data["second_factor_from"]), data["sso_provider"], start_of(data["sso_from"]))
