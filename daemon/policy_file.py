"""Which policy file is in force: the configured one, or the one that ships."""

from importlib.resources import files
from pathlib import Path

from daemon.errors import PolicyError
from daemon.lifecycle.policy import Policy, parse_policy


def load_policy(path: Path | None = None) -> Policy:
    """Return the policy in this file, or the shipped one.

    Raises:
        PolicyError: The file cannot be read or states something wrong; the message names the file.
    """
    try:
        text = path.read_text("utf-8") if path else files("daemon").joinpath("policy.toml").read_text("utf-8")
        return parse_policy(text)
    except (OSError, UnicodeDecodeError, PolicyError) as error:
        raise PolicyError(f"{path or 'shipped policy.toml'}: {error}") from error
