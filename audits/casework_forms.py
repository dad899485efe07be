"""Forms of a case's tabs: requests, files, notes, procedures, findings' steps, access, clocks. Shape only."""

from datetime import UTC, datetime, time
from typing import Any

from django import forms
from django.core.files.uploadedfile import UploadedFile

from audits.access import GRANT_FOR
from audits.deadlines import ClockKind
from audits.evidence import Upload
from audits.filetypes import MAX_BYTES
from audits.findings import Terms
from audits.forms import DATE, LINES, PeopleForm, PersonField
from audits.models import Conclusion
from audits.requests import RequestText

ABOUT_ITEM = "Its number in the sample; empty: the case as a whole."
GRANTS = {
    "case.read": "Read the case",
    "case.work": "Work on it",
    "case.review": "Review it",
    "case.sign": "Sign it",
    "case.open_payloads": "See the content of its decisions",
}


class ItemMixin(forms.Form):
    item = forms.IntegerField(label="Item", required=False, min_value=1, help_text=ABOUT_ITEM)


class RequestForm(PeopleForm, ItemMixin):
    title = forms.CharField(label="What you need", max_length=200)
    detail = forms.CharField(widget=LINES, required=False)
    addressee = PersonField(permission="case.read", required=False, help_text="Nobody: whoever answers findings.")
    due = forms.DateField(required=False, widget=DATE)
    is_blocking = forms.BooleanField(label="The case waits for it", required=False, initial=True)
    field_order = ("title", "detail", "addressee", "due", "item", "is_blocking")

    def text(self) -> RequestText:
        """What the service wants to know."""
        data = self.cleaned_data
        return RequestText(data["title"], data["detail"], data["due"], data["is_blocking"])


class FileForm(forms.Form):
    """A file, and what it is for: numbers of a request, an item, a finding, a file that it replaces."""

    file = forms.FileField(help_text="PDF, picture, text, Office document or zip, up to 25 MiB.")
    source = forms.CharField(label="Where you had it from", max_length=300, required=False)
    expires = forms.DateField(label="Valid until", required=False, widget=DATE)
    request = forms.TypedChoiceField(coerce=int, empty_value=None, required=False, label="Answers")
    finding = forms.TypedChoiceField(coerce=int, empty_value=None, required=False, label="Shows the mending of")
    item = forms.IntegerField(label="Item", required=False, min_value=1, help_text=ABOUT_ITEM)
    supersedes = forms.TypedChoiceField(coerce=int, empty_value=None, required=False, label="Supersedes")

    def __init__(self, *args: Any, choices: dict[str, list[tuple[int, str]]], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in ("request", "finding", "supersedes"):
            if not choices[name]:
                del self.fields[name]
            else:
                self.fields[name].choices = [("", "—"), *choices[name]]  # type: ignore[attr-defined]

    def clean_file(self) -> UploadedFile:
        """Refused by its size before it is read."""
        file: UploadedFile = self.cleaned_data["file"]
        if (file.size or 0) > MAX_BYTES:
            raise forms.ValidationError(f"The file is larger than {MAX_BYTES // 2**20} MiB.")
        return file

    def upload(self) -> Upload:
        """What the service wants to know."""
        data = self.cleaned_data
        return Upload(data["file"].name, data["file"].read(), data["source"], data["expires"])


class NoteForm(ItemMixin):
    text = forms.CharField(label="What is to be answered", widget=LINES)
    field_order = ("text", "item")


class ProcedureForm(forms.Form):
    title = forms.CharField(label="What is tested", max_length=200)
    expected = forms.CharField(label="What should be seen", widget=LINES)
    workpaper = forms.CharField(
        label="Working paper", max_length=60, required=False, help_text="The reference in your own files."
    )


class TestForm(forms.Form):
    __test__ = False  # pytest: no test

    item = forms.IntegerField(min_value=1)
    result = forms.ChoiceField(choices=Conclusion.choices)
    actual = forms.CharField(label="What was seen", required=False, max_length=2000)


class CommentForm(forms.Form):
    text = forms.CharField(label="Comment", widget=LINES)


class StepForm(PeopleForm):
    """One step of a finding, a request or a note: `action` is the button that was pressed."""

    action = forms.CharField(max_length=20)
    version = forms.IntegerField(required=False)
    text = forms.CharField(required=False)
    owner = PersonField(permission="finding.respond", required=False)
    due = forms.DateField(required=False)
    until = forms.DateField(required=False)
    case = forms.UUIDField(required=False)

    def terms(self) -> Terms:
        """What the service wants to know beside the text."""
        data = self.cleaned_data
        return Terms(data["owner"], data["due"], data["until"])


class GrantForm(forms.Form):
    email = forms.EmailField(label="E-mail of a member")
    permissions = forms.MultipleChoiceField(
        choices=[(name, GRANTS[name]) for name in GRANT_FOR], widget=forms.CheckboxSelectMultiple, initial=["case.read"]
    )
    until = forms.DateField(label="Until", widget=DATE, help_text="At most 90 days from now.")

    def expires_at(self) -> datetime:
        """The end of that day."""
        return datetime.combine(self.cleaned_data["until"], time(23, 59, 59), UTC)


class ClockForm(forms.Form):
    """Start, extend or meet a clock."""

    action = forms.ChoiceField(choices=[(name, name) for name in ("start", "extend", "meet")])
    kind = forms.ChoiceField(choices=ClockKind.choices)
    text = forms.CharField(required=False)
    started_at = forms.DateTimeField(required=False)
