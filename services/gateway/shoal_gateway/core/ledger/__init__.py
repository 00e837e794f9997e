"""Who may do what, as the gateway's own events say: decided here, folded here."""

from shoal_gateway.core.ledger.decide import Refusal as Refusal
from shoal_gateway.core.ledger.decide import decide as decide
from shoal_gateway.core.ledger.evolve import evolve as evolve
from shoal_gateway.core.ledger.state import State as State
