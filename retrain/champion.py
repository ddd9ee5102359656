"""What a slot runs, whatever it came as: a bundle of ours, or an emulator library that was adopted.

Both have a digest, a contract, a threshold and scores; only a bundle has weights, recipe and proof.
"""

from pathlib import Path

from retrain import adopted, bundle

Champion = bundle.Bundle | adopted.Adopted


def load(path: Path, expected: str | None = None) -> Champion:
    """Return the champion at ``path`` after checking every byte of it.

    Args:
        path: Its folder.
        expected: The digest it must have; when None, the folder's name.

    Raises:
        BundleAlteredError: Something is not what its manifest says.
    """
    return adopted.load(path, expected) if adopted.is_adopted(path) else bundle.load(path, expected)


def verify(path: Path, expected: str | None = None) -> str:
    """Return the digest of the champion at ``path`` after checking every byte of it; see `load`."""
    return load(path, expected).digest
