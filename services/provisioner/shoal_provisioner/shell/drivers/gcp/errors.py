"""Why Compute Engine refused, in our words.

Codes: https://cloud.google.com/compute/docs/troubleshooting/troubleshooting-resource-availability
and https://cloud.google.com/compute/docs/reference/rest/v1/zoneOperations
"""

from collections.abc import Iterable

from google.api_core.exceptions import GoogleAPICallError
from google.cloud import compute_v1

from shoal_contract.events.instance import Cause
from shoal_provisioner.shell.drivers.base import StartError

STOCK_OUT = ("RESOURCE_POOL_EXHAUSTED", "STOCKOUT", "RESOURCE_NOT_AVAILABLE")
QUOTA = ("QUOTA", "LIMIT_EXCEEDED")
PERMISSION = ("PERMISSION", "FORBIDDEN", "ACCESS_NOT_CONFIGURED", "ACCESSNOTCONFIGURED")
CONFIG = ("INVALID", "NOT_FOUND", "NOTFOUND", "UNSUPPORTED", "CONDITION_NOT_MET")
BUSY = ("RATELIMITEXCEEDED", "RATE_LIMIT_EXCEEDED", "USERRATELIMITEXCEEDED")


def cause_of(codes: Iterable[str], status: int = 0) -> Cause:
    """The cause that error codes and an HTTP status speak of."""
    words = [code.upper() for code in codes]

    def says(signs: Iterable[str]) -> bool:
        return any(sign in word for sign in signs for word in words)

    if says(STOCK_OUT):
        return "stock_out"
    if says(QUOTA):
        return "quota"
    if says(PERMISSION) or status in (401, 403):
        return "permission"
    if says(CONFIG) or status in (400, 404, 412):
        return "config"
    return "other"


def explained(error: GoogleAPICallError) -> StartError:
    """A refused call as a failed start."""
    reasons = [str(item.get("reason", "")) for item in error.errors if isinstance(item, dict)]
    cause = cause_of([*reasons, error.message], int(error.code or 0))
    return StartError(f"Compute Engine: {error.message}", cause)


def passing(error: GoogleAPICallError) -> bool:
    """Whether the same call may succeed in a moment: too many calls, or the server's own fault."""
    reasons = {
        str(item.get("reason", "")).upper() for item in error.errors if isinstance(item, dict)
    }
    if reasons & set(BUSY):
        return True
    return int(error.code or 0) in (429, 500, 502, 503, 504) and explained(error).cause == "other"


def of_operation(operation: compute_v1.Operation) -> StartError | None:
    """What an operation that is over says went wrong."""
    errors = list(operation.error.errors)
    if not errors:
        return None
    text = "; ".join(f"{error.code}: {error.message}" for error in errors)
    # A bulk insert that made too few says so beside the reason; the reason counts.
    codes = [error.code for error in errors if error.code != "VM_MIN_COUNT_NOT_REACHED"]
    return StartError(f"Compute Engine: {text}", cause_of(codes or ["STOCKOUT"]))
