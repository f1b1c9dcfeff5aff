"""The installation that the conformance suite speaks to: the demonstration's, with the tools that the suite expects."""

from observatory import settings as product

globals().update({name: getattr(product, name) for name in dir(product) if name.isupper()})
INSTALLED_APPS = [*product.INSTALLED_APPS, "tests.conformance"]
