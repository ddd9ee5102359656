"""Where every page and report gets its templates from: what is missing is an error, everything is escaped."""

from jinja2 import Environment, PackageLoader, StrictUndefined


def strict_templates() -> Environment:
    """Return the package's templates in an environment of one's own, to add filters to."""
    return Environment(
        loader=PackageLoader("daemon", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
