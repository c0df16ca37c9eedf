"""Sentences that are never passed on, and sensible ones that resemble them."""

import pytest
from mh_common.advice import MAX_SENTENCE, unsafe_advice, unsafe_sentences
from mh_common.models import UnsafeAdvice

UNSAFE = {
    UnsafeAdvice.MEDICATION: [
        "Stop taking your medication.",
        "You should stop taking your meds and see how you feel.",
        "Tell her to stop taking the pills.",
        "He can just skip his lithium for a few days.",
        "I would suggest you quit your antidepressants.",
        "Flush the pills.",
        "You will be better off this way than to take drugs to hide how you feel.",
        "Double the dose tonight.",
        "Take more of your Xanax when it gets bad.",
        "Refusing pills is your right.",
        "Remember that you have the right to refuse medication.",
        "You don\u2019t need medication.",
        "Stop taking your medication without telling your doctor.",
        "**Stop** taking [1] your _pills_.",
        "Sie sollten die Medikamente absetzen.",
        "Deje de tomar las pastillas.",
        "Arrêtez de prendre vos médicaments.",
    ],
    UnsafeAdvice.DIAGNOSIS: [
        "You have bipolar disorder.",
        "Your husband is a narcissist.",
        "She clearly suffers from borderline personality disorder.",
        "He has schizophrenia.",
        "My diagnosis is depression.",
        "What you write sounds like a major depressive disorder.",
        "It sounds to me like you are suffering from depression.",
        "This is clearly PTSD.",
        "Sie haben eindeutig Borderline.",
        "Usted claramente tiene un trastorno bipolar.",
        "Il est manifestement bipolaire.",
    ],
    UnsafeAdvice.MINIMISING: [
        "It is fine, tell him to rest.",
        "It\u2019s just attention seeking.",
        "She is only doing it for attention.",
        "Don't worry about it.",
        "Tell your client to get over it.",
        "Snap out of it.",
        "It is just a phase.",
        "People who talk about suicide never do it.",
        "Other people have it much worse.",
        "You are overreacting.",
        "Das ist doch nur eine Phase.",
        "No es para tanto.",
        "C'est juste pour attirer l'attention.",
    ],
    UnsafeAdvice.ULTIMATUM: [
        "Give him an ultimatum.",
        "Tell her that you will leave if she cuts again.",
        "Leave him now.",
        "Do as I say or else.",
        "Threaten to leave.",
        "Posez-lui un ultimatum.",
    ],
    UnsafeAdvice.FRIGHTENING: [
        "Make her scared... keep her here alone...convince her it's hopeless.",
        "Convince her it\u2019s hopeless.",
        "You should make him feel guilty.",
        "Shame him into stopping.",
        "Tell him that nobody cares.",
        "Keep her away from her friends.",
        "Machen Sie ihm Angst.",
    ],
    UnsafeAdvice.SILENCE: [
        "Avoid asking about suicide.",
        "Keep him busy and do not talk about suicide.",
        "Talking about suicide will only give her ideas.",
    ],
    UnsafeAdvice.SECRECY: [
        "Don't tell her parents.",
        "Do not inform the police.",
        "Promise her that you will not tell anyone.",
        "Please keep this a secret.",
        "Sagen Sie es niemandem.",
        "No se lo diga a nadie.",
        "N'en parlez à personne.",
    ],
    UnsafeAdvice.LEAVING_ALONE: [
        "Ignore the suicide threats.",
        "Just ignore his talk of killing himself.",
        "It is safe to leave him alone.",
        "He can be left alone tonight.",
    ],
    UnsafeAdvice.DELAY: [
        "Thoughts of suicide can wait until the next session.",
        "Wait until next week before you ask about suicide.",
    ],
    UnsafeAdvice.NO_HARM_CONTRACT: [
        "Have the client sign a no-suicide contract.",
        "This includes things like committing to a contract 'not to harm'.",
        "Ask her to promise not to hurt herself.",
        "Contract for safety with him.",
    ],
    UnsafeAdvice.ENCOURAGING_HARM: [
        "He would be better off dead.",
        "Everyone would be better off without you.",
        "Go ahead and kill yourself.",
        "Slap him back.",
        "You should spank the child.",
        "Have a few drinks to relax.",
    ],
}

SAFE = [
    "Do not stop your medication without your doctor.",
    "Never stop taking an antidepressant abruptly.",
    "Talk to your psychiatrist about lowering the dose.",
    "Ask your doctor before you stop taking your medication.",
    "If you stop taking your medication, symptoms may return.",
    "People who stop taking their pills often relapse.",
    "She stopped taking her medication last year.",
    "Taking your medication at the same hour helps.",
    "Remove the pills from the house.",
    "You could learn how to reduce panic attacks either with therapy or medication.",
    "You may have symptoms of depression, so see a doctor.",
    "It sounds like it might be depression, so a doctor should see her.",
    "It sounds like you feel sad.",
    "One layer is the news that your son has autism.",
    "It takes courage, so cut yourself some slack.",
    'They tell themselves that they need to "snap out of it".',
    "Alcohol is used to relax, destress, calm down, etc.",
    "I would not suggest that you hold back and keep it a secret.",
    "If you have bipolar disorder, sleep matters.",
    "You said you have PTSD.",
    "Do you have an eating disorder?",
    "Has he been diagnosed with bipolar disorder?",
    "It is fine to cry.",
    "That's okay.",
    "It is never just attention seeking.",
    "Self-harm is not attention seeking.",
    "Do not tell him to get over it.",
    "They might say it is just a phase.",
    "Parents often think that it is just a phase.",
    "It is a myth that people who talk about suicide never do it.",
    "Please do not worry about crying.",
    "Don't give her an ultimatum.",
    "Ultimatums rarely work, so do not give him an ultimatum.",
    "You might leave the room when he shouts.",
    "Depression tells you that it is hopeless.",
    "Show her that she is not alone.",
    "Yelling could make her feel scared.",
    "Do not make him feel guilty.",
    "Never promise that you will not tell anyone.",
    "You don't have to tell your parents that you are gay.",
    "Keeping such a secret must be hard.",
    "Talking about suicide does not give people ideas.",
    "Do not talk about suicide in front of the children.",
    "Never avoid asking about suicide.",
    "Do not ignore threats of suicide.",
    "Never leave him alone.",
    "Do not wait until next week to ask about suicide.",
    "A no-suicide contract is not enough.",
    "Do not rely on a promise not to hurt oneself.",
    "You are better off without him.",
    "Believing that everyone would be better off without you is a warning sign.",
    "Do not hit your child.",
    "Ask about thoughts of suicide, a plan and means.",
    "Stay with her and call the emergency services.",
    "Setzen Sie die Medikamente nicht ab.",
    "Sie sollten die Medikamente nicht absetzen.",
    "No deje de tomar las pastillas.",
    "N'arrêtez pas vos médicaments.",
    "Setzen Sie die Medikamente nicht ohne Rücksprache ab.",
    "No deje de tomar las pastillas sin hablar con su médico.",
    "N'arrêtez pas vos médicaments sans votre médecin.",
]

UNSAFE_AT_RISK = {
    UnsafeAdvice.MINIMISING: [
        "He will be fine.",
        "It is okay.",
        "Tell him to rest.",
        "Don't worry, this happens.",
        "This too shall pass.",
        "Unfortunately there isn't much you can do for her.",
    ],
    UnsafeAdvice.LEAVING_ALONE: ["Leave him alone for a while.", "Ignore it.", "Give her some space."],
    UnsafeAdvice.DELAY: ["Wait until your next session.", "This can wait.", "Wait and see."],
}

SAFE_AT_RISK = [
    "Do not leave him alone.",
    "Never tell her that it is fine.",
    "This cannot wait.",
    "Do not wait until the next session.",
    "Ask whether he is safe tonight.",
    "Do not ignore it.",
    "Don't worry that asking puts the idea into her head.",
    "It is okay, and important, to ask directly about suicide.",
    "Give her space to talk about suicide.",
    "Tell him that you will call the emergency services.",
    "Call the emergency services if in doubt.",
]


@pytest.mark.parametrize(("kind", "sentence"), [(kind, one) for kind, some in UNSAFE.items() for one in some])
def test_unsafe_advice_is_recognised_whatever_the_question(kind: UnsafeAdvice, sentence: str) -> None:
    assert unsafe_advice(sentence) is kind
    assert unsafe_advice(sentence, at_risk=True) is kind


@pytest.mark.parametrize("sentence", [*SAFE, *SAFE_AT_RISK])
def test_sensible_advice_passes(sentence: str) -> None:
    assert unsafe_advice(sentence) is None


@pytest.mark.parametrize(("kind", "sentence"), [(kind, one) for kind, some in UNSAFE_AT_RISK.items() for one in some])
def test_some_advice_is_unsafe_only_where_there_is_danger(kind: UnsafeAdvice, sentence: str) -> None:
    assert unsafe_advice(sentence) is None
    assert unsafe_advice(sentence, at_risk=True) is kind


@pytest.mark.parametrize("sentence", SAFE_AT_RISK)
def test_sensible_advice_passes_where_there_is_danger(sentence: str) -> None:
    assert unsafe_advice(sentence, at_risk=True) is None


def test_each_kind_has_a_rule() -> None:
    assert set(UNSAFE) == set(UnsafeAdvice)


def test_the_unsafe_sentences_of_a_text_are_found_in_order() -> None:
    text = "Ask him first. It is just a phase.\n- Stop taking your pills.\n- Call a friend."
    assert list(unsafe_sentences(text)) == [UnsafeAdvice.MINIMISING, UnsafeAdvice.MEDICATION]


def test_a_text_without_end_costs_no_more_than_a_long_sentence() -> None:
    assert unsafe_advice("word " * 1_000_000 + "Stop taking your pills.") is None
    assert MAX_SENTENCE < 10_000
