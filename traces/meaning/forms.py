"""A person's judgement as a form; what it means is checked again by `give_feedback`."""

from django import forms

from traces.meaning.remarks import MOST_CHARACTERS

LABELS = [("good", "Good"), ("bad", "Bad"), ("unsure", "Unsure")]


class FeedbackForm(forms.Form):
    """`supersedes` is the id of the feedback that this corrects."""

    label = forms.ChoiceField(choices=LABELS)
    comment = forms.CharField(required=False, max_length=MOST_CHARACTERS)
    supersedes = forms.UUIDField(required=False)
