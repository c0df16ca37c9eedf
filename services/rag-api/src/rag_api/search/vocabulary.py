"""Words of search: those that say nothing, those of the counselor's role, and those that mean the same.

These lists are knowledge of English and of counseling, not of any data set. A word that is missing costs a match; a
pair that does not mean the same adds false ones. Measure a change with `make eval`.
"""

from typing import Final

from mh_common.stemming import stem_of

_STOP_WORDS: Final = """
    a about after again all also am an and any are as at be because been before being but by can could did do does doing
    don for from get got had has have having he her here hers him his how i if in into is it its just let ll m me more
    most my myself no not now of on only or other our out over own re s she should so some such t than that the their
    them then there these they this those to too up us ve very was we were what when where which while who why will with
    would you your
"""
STOP_STEMS: Final = frozenset(map(stem_of, _STOP_WORDS.split()))
"""Stems of words that occur in nearly every text; highlighting them would hide the others."""

_ROLE_WORDS: Final = """
    client clients patient patients pt pts counselor counselors counsellor counsellors therapist therapists therapy
    counseling counselling session sessions practice
"""
ROLE_STEMS: Final = frozenset(map(stem_of, _ROLE_WORDS.split()))
"""Stems of words for the people and the place of counseling. In a counselor's question they say who asks and not about
what, and in conversations they are rare: they would draw in every conversation about a therapist."""

_ASKING_WORDS: Final = """
    help support assist say tell advise advice respond reply answer suggest suggestion recommend handle deal work treat
    treatment explain approach talk speak react begin start best way idea ideas tips tip next first step steps right
    good thing things something anything seriously going go move emergency place need know might may shall please thanks
"""
ASKING_STEMS: Final = STOP_STEMS | ROLE_STEMS | frozenset(map(stem_of, _ASKING_WORDS.split()))
"""Stems of words with which a counselor asks for advice. A sentence of these alone says nothing about the client."""

_SYNONYMS: Final = """
    mum mom mother mam mummy mommy mama
    dad father daddy papa
    parent parents
    child children kid kids toddler
    son boy
    daughter girl
    brother sister sibling siblings
    gran grandma grandmother granny nan grandparent
    grandad grandpa grandfather
    friend friends mate mates pal pals buddy
    boyfriend girlfriend partner fiance fiancee
    husband hubby wife spouse
    marriage married wedding
    divorce divorced separation separated split breakup
    colleague colleagues coworker coworkers
    boss manager supervisor employer
    job work workplace office
    sacked fired redundant dismissed unemployed
    burnout exhausted overworked
    doctor physician gp
    nurse hospital ward
    psychiatrist psychologist therapist counsellor counselor
    therapy counselling counseling
    school classroom teacher
    university college uni campus student
    exam exams test tests
    bus tram train subway metro underground
    car drive driving driver
    accident crash collision
    lorry truck
    plane flying flight
    pill pills tablet tablets medication medicine meds antidepressant antidepressants
    alcohol drink drinks drinking drunk booze wine beer
    alcoholic sober sobriety
    weed cannabis marijuana
    drugs cocaine heroin opioids painkillers
    smoke smoking cigarettes nicotine vape vapes vaping
    gambling gamble gambled betting bet bets casino
    game gaming games
    phone screen internet online
    row rows argue argues argued arguing argument fight fights quarrel disagreement
    yell yells yelled scream screams shout shouts shouting
    cheat cheated cheating affair unfaithful infidelity betrayed betrayal
    jealous jealousy possessive controlling
    abuse abused abusive abuser
    hit hits hitting violence violent beat beaten
    rape raped assault assaulted
    cry cries crying weep weeping tears sob sobbing
    afraid scared fear fears fearful frightened terrified
    phobia phobic
    panic panics panicked panicky
    worry worries worried worrying fret anxious anxiety nervous
    angry anger mad rage furious temper
    irritable snap snaps grumpy
    sad sadness unhappy depressed depression
    numb empty emptiness
    hopeless pointless despair
    tired fatigue exhausted sleepy
    sleep sleeps sleeping insomnia awake asleep sleepless
    nightmare nightmares dream dreams
    nap naps doze dozes
    snore snores snoring apnoea apnea
    lonely isolated isolation alone loneliness
    shy shyness awkward
    ashamed shame embarrassed embarrassment embarrassing mortified humiliated
    guilt guilty blame
    sorry apologise apologize apologises apologising apologizing apology
    boundary boundaries limit limits
    die dies died dying dead death
    bereaved bereavement grief grieve grieving mourn mourning
    funeral burial grave
    suicide suicidal kill killing
    cut cuts cutting scratch scratches injure injures burn burns
    eat eats eating food meal meals
    bulimia vomit vomits vomiting purge purging
    binge binges binged bingeing overeating
    anorexia starve starving restrict restricts restricting
    weight fat thin skinny diet dieting
    mirror ugly appearance looks
    exercise gym jog jogging run running yoga workout
    homework assignment exercise
    talk speech presentation
    money debt debts bills financial
    rent house housing home
    ill illness sick disease
    pain ache aches hurts
    cancer tumour tumor chemo
    stroke disabled disability wheelchair
    dementia alzheimer
    pregnant pregnancy
    miscarriage miscarried stillbirth
    birth childbirth delivery labour labor
    baby newborn infant
    breastfeeding nursing breastfeed
    postpartum postnatal
    infertility ivf infertile
    menopause hormones
    period periods menstruation puberty
    teen teens teenager teenagers teenage adolescent adolescence youngster
    old older elderly retired retirement
    young younger
    gay lesbian queer homosexual
    bi bisexual
    trans transgender transition transitioning
    nonbinary enby
    sex sexual intimacy libido
    church religion religious faith pastor priest god
    prison jail custody
    police arrested
    war soldier veteran military army deployment combat
    earthquake quake disaster flood
    refugee immigrant immigrants migrant emigrated
    racism racist discrimination
    bully bullied bullying
    autistic autism spectrum asperger
    adhd hyperactive attention
    tantrum tantrums meltdown meltdowns
    obsession obsessions obsessive compulsive compulsion compulsions ocd
    germs contamination dirt wash washing
    check checks checking
    ritual rituals
    tidy neat
    voices hallucinations hearing
    paranoid paranoia psychosis psychotic
    manic mania bipolar hypomania
    trauma traumatic traumatised traumatized ptsd
    flashback flashbacks
    confidential confidentiality secret secrets
    pet dog cat
    holiday vacation trip
    perfect perfectionism perfectionist
    fraud imposter impostor
    confidence worthless
    clingy needy dependent
    abandon abandoned abandonment rejected rejection
    stutter stammer
    quit resign resigned
"""


def _synonyms() -> dict[str, dict[str, str]]:
    alike: dict[str, dict[str, str]] = {}
    for line in _SYNONYMS.strip().splitlines():
        words = {stem_of(word): word for word in line.split()}
        for stem in words:
            alike.setdefault(stem, {}).update({other: word for other, word in words.items() if other != stem})
    return alike


SYNONYMS: Final = _synonyms()
"""By stem, the other stems of its lines, each with a word: what means the same, or is used for the same."""

_PLAIN_WORDS: Final = """
    bf: boyfriend
    gf: girlfriend
    hubby: husband
    abt: about
    bc, b/c: because
    thru: through
    w/o: without
    w/: with
    hx, h/o: history of
    fhx: family history
    c/o: complains of
    dx: diagnosis
    sx: symptoms
    tx: treatment
    rx: prescription
    meds: medication
    yo, y/o: years old
    yr, yrs: years
    wk, wks: weeks
    mth, mths: months
    pp: after giving birth
    ppd, pnd: postnatal depression
    ppa: postnatal anxiety
    gad: worrying about everything
    mdd: depression
    bpd: borderline personality
    csa: childhood sexual abuse
    ipv, dv: violence from my partner
    aud, etoh: drinking alcohol
    sud: taking drugs
    thc: cannabis
    avh: hearing voices
    asd: autism
    cva: stroke
    tbi: head injury
    cbt-i: therapy for insomnia
    nssi, self-harm, self-injury, self-harming, self-harms, self-injures: cutting and hurting myself
    suicidal ideation, suicidality: thoughts of killing myself
    passive ideation: I wish I would not wake up
    erotic transference, transference: in love with my therapist
    countertransference: the therapist's own feelings
    insomnia: cannot sleep
    hypersomnia: sleeping too much
    parasomnia, parasomnias: acting out in my sleep
    sleep apnoea, sleep apnea, apnoea, apnea, apnoeas, apneas: stops breathing at night
    anhedonia: nothing feels good any more
    low mood: sad and depressed
    psychomotor retardation: everything is slow
    hypervigilance, hypervigilant: always on guard
    dissociation, dissociates, dissociating: feeling far away and not real
    derealisation, derealization, depersonalisation, depersonalization: nothing feels real
    flashbacks: memories that come back as if it happens again
    rumination, ruminates, ruminating: thinking about it over and over
    catastrophising, catastrophizing, catastrophises, catastrophizes: expecting the worst
    health anxiety, illness anxiety, hypochondria: afraid of being seriously ill
    agoraphobia: afraid to leave the house
    social phobia: afraid of people
    intrusive thoughts: unwanted horrible thoughts
    compulsion, compulsions: checking again and again
    reassurance seeking: asking again and again whether it is all right
    contamination: germs
    infidelity: affair and cheating
    emotional affair: my partner is too close to somebody at work
    coercive control: my partner controls and checks me
    stonewalling, stonewalls: silent for days
    enmeshment, enmeshed: my parent clings to me and calls all the time
    parentification, parentified: I had to be the parent of my parents
    alienation: turns my child against me
    bereavement, bereaved: grieving someone who died
    pregnancy loss, perinatal loss, trimester loss: miscarriage
    anticipatory grief: grieving before someone dies
    complicated grief, prolonged grief: still grieving after years
    imposter syndrome, impostor syndrome: I am a fraud and will be found out
    low self-esteem: I am not good enough
    body dysmorphia, dysmorphia: I hate how I look
    purging, purges: making myself vomit
    restricting, restricts: not eating
    binge, binges, bingeing: eating everything at once
    gender dysphoria: my body feels like the wrong gender
    enuresis: wets the bed
    school refusal: will not go to school
    oppositional: will not obey
    substance use, substance misuse, substance abuse: alcohol and drugs
    relapse, relapsed: started again
    withdrawal symptoms: shaking after stopping
    psychosis, psychotic: hearing voices, paranoid
    delusion, delusions: believing things that are not true
    mania, manic, hypomania, hypomanic: hardly sleeping, full of energy
    assertiveness, boundary, boundaries: saying no
    psychoeducation: explain
    burnout, burned out, burnt out: exhausted by work
"""

PLAIN_WORDS: Final = {
    term.strip(): plain.strip()
    for terms, plain in (line.split(":") for line in _PLAIN_WORDS.strip().splitlines())
    for term in terms.split(",")
}
"""Shorthand and terms of counselors, in lower case, with what a client would say."""
