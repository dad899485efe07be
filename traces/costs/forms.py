"""Forms of budgets. They check shape; rules are the services'."""

from decimal import Decimal

from django import forms

from traces.costs.budgeting import BudgetTerms
from traces.costs.budgets import THRESHOLDS
from traces.costs.pricing import MICRO
from traces.models.cost import Budget, BudgetScope, OnExceed, Period


class BudgetForm(forms.Form):
    """Set or change a budget."""

    name = forms.CharField(max_length=120)
    limit = forms.DecimalField(
        min_value=Decimal("0.000001"), max_digits=18, decimal_places=6, help_text="In the currency, such as 250.00."
    )
    currency = forms.CharField(max_length=3, min_length=3, initial="USD")
    period = forms.ChoiceField(choices=Period.choices, initial=Period.MONTH)
    days = forms.IntegerField(min_value=1, max_value=366, initial=30, help_text="For “The last days” only.")
    scope = forms.ChoiceField(choices=BudgetScope.choices, label="Whose")
    subject = forms.CharField(
        max_length=200, required=False, label="Which", help_text="The system's, user's or source's name."
    )
    thresholds = forms.CharField(
        initial=", ".join(map(str, THRESHOLDS)), label="Tell at", help_text="Per cent of the limit, with commas."
    )
    on_exceed = forms.ChoiceField(
        choices=OnExceed.choices, label="When it is over", help_text="Answered to applications that ask before acting."
    )
    route_to = forms.CharField(max_length=200, required=False, label="Route to", help_text="A model's name.")

    def clean_thresholds(self) -> tuple[int, ...]:
        """Whole numbers."""
        try:
            return tuple(int(part) for part in self.cleaned_data["thresholds"].replace(" ", "").split(","))
        except ValueError:
            raise forms.ValidationError("Whole numbers with commas, such as 50, 80, 100.") from None

    def clean_currency(self) -> str:
        """Capital letters."""
        return str(self.cleaned_data["currency"]).upper()

    def terms(self) -> BudgetTerms:
        """What was filled in."""
        data = {name: value for name, value in self.cleaned_data.items() if name != "limit"}
        return BudgetTerms(limit_micros=int(self.cleaned_data["limit"] * MICRO), **data)

    @classmethod
    def of(cls, budget: Budget) -> "BudgetForm":
        """The form filled with what the budget says."""
        names = ("name", "currency", "period", "days", "scope", "subject", "on_exceed", "route_to")
        values = {name: getattr(budget, name) for name in names}
        limit = (Decimal(budget.limit_micros) / MICRO).normalize()
        return cls(initial=values | {"limit": f"{limit:f}", "thresholds": ", ".join(map(str, budget.thresholds))})
