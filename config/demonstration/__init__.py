"""What the applications of an invented bank asked their models over four weeks, and what came back.

Everything is in our own words, and the same for the same last moment. Half-way through, the bank moves its loan
assistant to another version of the model: reasons turn into catch-alls from then on, which is there to be found.
"""

from config.demonstration.calendar import SPAN
from config.demonstration.claims import claims
from config.demonstration.loans import loans
from config.demonstration.support import chats
from config.demonstration.surroundings import BUDGETS, events, feedback

__all__ = ["BUDGETS", "SPAN", "chats", "claims", "events", "feedback", "loans"]
