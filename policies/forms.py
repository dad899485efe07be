"""Drafting a policy."""

from django import forms


class DraftForm(forms.Form):
    """A document as its author types it; checked line by line by the service."""

    source = forms.CharField(
        label="Document",
        help_text="YAML or JSON: a name, rules in CEL over the recorded facts, and examples that are run when you save.",
        widget=forms.Textarea(attrs={"rows": 24, "spellcheck": "false", "class": "mono"}),
        strip=False,
        max_length=64 * 1024,
    )
    change_reason = forms.CharField(label="Reason for this version", required=False, max_length=500)
