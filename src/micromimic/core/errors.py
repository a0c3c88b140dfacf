"""The exception tree. Every message is one line: what was expected, what came, what to do."""

from __future__ import annotations


class MicromimicError(Exception):
    """Base of every error that micromimic raises on purpose.

    >>> raise MicromimicError("expected a video, got a text file; pass a video file")
    Traceback (most recent call last):
    ...
    micromimic.core.errors.MicromimicError: expected a video, got a text file; pass a video file
    """


class InputError(MicromimicError):
    """The input cannot be read: missing, empty, not a video, frames of different sizes."""


class SourceLostError(MicromimicError):
    """A camera or stream that worked is gone; it may come back."""


class NoFaceError(MicromimicError):
    """No face was found anywhere in the input, so there is nothing to analyse."""


class OutputError(MicromimicError):
    """Results could not be written: read-only folder, full disk."""


class ModelError(MicromimicError):
    """A model file is missing, unreadable, or does not have the expected inputs and outputs."""


class LabelError(MicromimicError, ValueError):
    """A label is none of the set, or a set of labels is none."""


class MissingExtraError(MicromimicError):
    """A feature needs an optional dependency that is not installed."""


class RandomWeightsWarning(UserWarning):
    """Training starts from random weights because no ImageNet weights were found."""


class ManifestWarning(UserWarning):
    """Rows of a manifest may not be what they seem: a lost leading zero, one person twice."""


class StoreError(MicromimicError):
    """The records cannot do what was asked; base of the four below."""


class NotFoundError(StoreError):
    """There is no such subject, session, recording, job or event."""


class ConflictError(StoreError):
    """Somebody else changed it since it was read, or it exists already."""


class RefusedError(StoreError):
    """A rule forbids it: no consent noted, an action that makes no sense here."""


class UnavailableError(StoreError):
    """The database is locked, gone, of another version, or its disk is full."""
