"""Forms of letters. Shape only: which parts a letter needs before it leaves is the service's."""

from typing import Any

from django import forms

from audits.explaining import PARTS, LetterText

FEWEST_ROWS = 3
LINE = 90  # characters on a line of the page, about: so that a part is seen whole
MOST = 6_000
HELP = {
    "elements": "In the order of their weight, in words that a layperson understands. Figures alone explain nothing."
}


class NewLetterForm(forms.Form):
    item = forms.IntegerField(
        label="Item", min_value=1, help_text="The number, in the sample, of the decision that is to be explained."
    )


class LetterForm(forms.Form):
    """The parts of a letter. Empty ones are kept: a draft may have them."""

    version = forms.IntegerField(widget=forms.HiddenInput)
    recipient = forms.CharField(
        label="To", widget=forms.Textarea(attrs={"rows": 4}), required=False, max_length=600,
        help_text="Name and address, as on an envelope.",
    )  # fmt: skip

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name, title in PARTS:
            self.fields[name] = forms.CharField(
                label=title,
                widget=forms.Textarea(attrs={"rows": FEWEST_ROWS}),
                required=False,
                max_length=MOST,
                help_text=HELP.get(name, ""),
            )
        self.fields["contact"] = forms.CharField(
            label="Where to write", widget=forms.Textarea(attrs={"rows": 4}), required=False, max_length=600
        )

    @classmethod
    def of(cls, text: LetterText, version: int) -> "LetterForm":
        """The form as it stands before somebody changes it."""
        form = cls(initial={name: getattr(text, name) for name in LetterText.__slots__} | {"version": version})
        for name, _ in PARTS:
            lines = getattr(text, name).splitlines()
            rows = sum(1 + len(line) // LINE for line in lines)
            form.fields[name].widget.attrs["rows"] = max(FEWEST_ROWS, rows + 1)
        return form

    def said(self) -> dict[str, str]:
        """The parts by name."""
        return {name: value.replace("\r\n", "\n") for name, value in self.cleaned_data.items() if name != "version"}
