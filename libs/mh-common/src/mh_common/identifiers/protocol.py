"""What a recognizer finds, and the `Recognizer` protocol."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol


class IdentifierKind(StrEnum):
    """The kinds of identifiers of HIPAA's safe harbor, 45 CFR 164.514(b)(2)(i). Its name is in the pseudonym."""

    PERSON = "person"
    PLACE = "place"
    """An address, or anything smaller than a state: street, town, county, postal code."""

    ORGANISATION = "organisation"
    """Not on the list of safe harbor by itself, but an employer, school or parish tells who somebody is."""

    DATE = "date"
    """More exact than a year."""

    AGE = "age"
    """Of 90 years and more."""

    PHONE = "phone"
    FAX = "fax"
    EMAIL = "email"
    SOCIAL_SECURITY = "social_security"
    MEDICAL_RECORD = "medical_record"
    HEALTH_PLAN = "health_plan"
    ACCOUNT = "account"
    LICENSE = "license"
    VEHICLE = "vehicle"
    DEVICE = "device"
    URL = "url"
    IP_ADDRESS = "ip_address"
    BIOMETRIC = "biometric"
    PHOTO = "photo"
    OTHER = "other"
    """Any other unique number, mark or code."""


@dataclass(frozen=True, order=True)
class Identifier:
    """An identifier in a text: `text[start:end]`, in Unicode code points."""

    start: int
    end: int
    kind: IdentifierKind


class Recognizer(Protocol):
    """Finds identifiers in a text, without a network."""

    def find(self, text: str) -> list[Identifier]:
        """Return the identifiers in order; they do not overlap.

        Any exception means that the text could not be read: the caller must then treat all of it as identifying.
        """
        ...
