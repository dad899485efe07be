"""Forms of endpoints. They check shape; addresses are the service's matter."""

from typing import Any

from django import forms
from django.conf import settings

from tenants.models import EndpointKind
from tenants.webhooks.catalogue import CHOOSABLE, LABELS
from tenants.webhooks.guard import MAX_URL
from tenants.webhooks.services import EndpointTerms


class ChangeForm(forms.Form):
    """What may be changed of an endpoint."""

    name = forms.CharField(max_length=120, help_text="Who is told.")
    address = forms.CharField(max_length=MAX_URL, required=False, widget=forms.TextInput(attrs={"spellcheck": "false"}))
    event_types = forms.MultipleChoiceField(
        label="Events", required=False, widget=forms.CheckboxSelectMultiple, help_text="None chosen: all of them.",
        choices=[(str(name), LABELS[name]) for name in CHOOSABLE],
    )  # fmt: skip

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["address"].help_text = "Empty: as it is."

    def terms(self) -> EndpointTerms:
        """What was asked for."""
        return EndpointTerms(**self.cleaned_data)


class EndpointForm(ChangeForm):
    """Make one."""

    kind = forms.ChoiceField(label="Told as", help_text="A program gets signed JSON; a chat, a message.")
    field_order = ("name", "kind", "address", "event_types")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        kinds = [choice for choice in EndpointKind.choices if choice[0] != EndpointKind.EMAIL or settings.EMAIL_HOST]
        self.fields["kind"].choices = kinds  # type: ignore[attr-defined]
        self.fields["address"].required = True
        self.fields["address"].help_text = (
            "A URL, or an e-mail address. It is stored encrypted." if settings.EMAIL_HOST
            else "A URL. It is stored encrypted."
        )  # fmt: skip
