"""Every fault that the suite must catch, in a few words of the product's own code, and the test that catches it."""

from tests.faults.agreeing import AGREEING
from tests.faults.burning import BURNING
from tests.faults.fault import Fault

FAULTS: tuple[Fault, ...] = (*BURNING, *AGREEING)
__all__ = ("FAULTS", "Fault")
