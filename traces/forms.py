"""The filter of the decision list, as a form."""

from typing import Any, ClassVar

from django import forms

from policies.engine import ACTIONS
from traces.models import Deployment, ModelVersion

CHOICES_SHOWN = 200


class MomentInput(forms.TextInput):
    """A day, or a whole RFC 3339 time where a link asked for one: a browser's date field could not show that."""

    def get_context(self, name: str, value: Any, attrs: dict[str, Any] | None) -> dict[str, Any]:
        context: dict[str, Any] = super().get_context(name, value, attrs)
        context["widget"]["type"] = "text" if "T" in str(value or "") else "date"
        return context


class FilterForm(forms.Form):
    """GET form; what it accepts is checked again by `DecisionFilter.from_query`, which the API uses too."""

    q = forms.CharField(label="Search", required=False, widget=forms.SearchInput)
    system = forms.ChoiceField(required=False)
    environment = forms.ChoiceField(required=False)
    model = forms.ChoiceField(required=False)
    prompt = forms.CharField(required=False, help_text="Its name and version, such as screen 14")
    policy = forms.CharField(required=False, help_text="Decisions on which a rule of this policy triggered")
    action = forms.ChoiceField(required=False, choices=[("", "Any"), *((action, action) for action in ACTIONS)])
    status = forms.ChoiceField(required=False, choices=[("", "Any"), ("failed", "Failed")])
    user = forms.CharField(required=False)
    session = forms.CharField(required=False)
    trace_id = forms.CharField(label="Trace id", required=False)
    feedback = forms.CharField(required=False, help_text="A label that people gave, or any")
    since = forms.CharField(required=False, widget=MomentInput)
    until = forms.CharField(required=False, widget=MomentInput)

    SEARCH_HINT: ClassVar[str] = 'Words, a "phrase", or any id'

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["q"].widget.attrs["placeholder"] = self.SEARCH_HINT
        deployments = Deployment.objects.values_list("system", "environment")[:CHOICES_SHOWN]
        models = ModelVersion.objects.exclude(name="").values_list("name", flat=True).distinct()[:CHOICES_SHOWN]
        self._offer("system", {system for system, _ in deployments})
        self._offer("environment", {environment for _, environment in deployments if environment})
        self._offer("model", set(models))

    def _offer(self, name: str, values: set[str]) -> None:
        """Offer what exists, and keep what the URL asks for even if it does not."""
        asked = self.data.get(name, "")
        field = self.fields[name]
        if isinstance(field, forms.ChoiceField):
            field.choices = [("", "Any"), *((value, value) for value in sorted(values | ({asked} - {""})))]
