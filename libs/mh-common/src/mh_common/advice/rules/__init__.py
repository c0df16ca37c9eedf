"""The rules of unsafe advice: the words of each kind, a file for each kind of harm.

In English, with the plainest of them in German, Spanish and French. They are meant to be right when they speak, so they
miss much.
"""

from typing import Final

from mh_common.advice.rule import Rule
from mh_common.advice.rules.blame import BLAME, VERDICTS
from mh_common.advice.rules.diagnosis import DIAGNOSIS, NAMES_A_DISORDER
from mh_common.advice.rules.faith import FAITH, ORIENTATION
from mh_common.advice.rules.harm import BODY, CHILDREN, DRINKING, ENCOURAGING_HARM
from mh_common.advice.rules.inaction import (
    DELAY,
    DELAY_AT_RISK,
    LEAVING_ALONE,
    LEAVING_ALONE_AT_RISK,
    NO_HARM_CONTRACT,
    WITHOUT_HELP,
)
from mh_common.advice.rules.medication import MEDICATION
from mh_common.advice.rules.minimising import ABUSE_AS_NOTHING, DANGER_AS_NOTHING, MINIMISING, MINIMISING_AT_RISK
from mh_common.advice.rules.pressure import FRIGHTENING, ULTIMATUM
from mh_common.advice.rules.relationships import PARTING, SPYING, STAYING
from mh_common.advice.rules.silence import SECRECY, SECRECY_AT_RISK, SILENCE

__all__ = ["NAMES_A_DISORDER", "RULES"]

RULES: Final[tuple[Rule, ...]] = (
    MEDICATION,
    DIAGNOSIS,
    MINIMISING,
    ULTIMATUM,
    FRIGHTENING,
    SILENCE,
    SECRECY,
    LEAVING_ALONE,
    DELAY,
    NO_HARM_CONTRACT,
    ENCOURAGING_HARM,
    DRINKING,
    PARTING,
    STAYING,
    SPYING,
    BLAME,
    VERDICTS,
    FAITH,
    ORIENTATION,
    ABUSE_AS_NOTHING,
    DANGER_AS_NOTHING,
    WITHOUT_HELP,
    CHILDREN,
    BODY,
    MINIMISING_AT_RISK,
    SECRECY_AT_RISK,
    LEAVING_ALONE_AT_RISK,
    DELAY_AT_RISK,
)
