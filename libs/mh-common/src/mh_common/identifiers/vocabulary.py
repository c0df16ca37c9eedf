"""Words that announce a name, a place or an organisation. Folded: without case and accents."""

from typing import Final


def words(text: str) -> frozenset[str]:
    """Return the words of a text, which blanks separate."""
    return frozenset(text.split())


def listed(text: str) -> list[str]:
    """Return the phrases of a text, which commas separate."""
    return [phrase.strip() for phrase in text.split(",")]


TITLES: Final = words(
    """
    mr mrs ms miss mx mister missus sr dr drs doctor prof professor rev reverend fr sir madam sra srta don dona
    dra senor senora senorita herr frau fraulein hr fr mme mlle madame monsieur mademoiselle pastor pastora
    rabbi imam officer ofc ofcr judge sgt sergeant capt captain lt lieutenant det detective coach nurse deacon
    bishop uncle aunt auntie aunty tia tio tante onkel oncle grandma grandpa granny nana nonna abuela abuelo oma
    opa principal attorney atty deputy agent senator governor councilman councilwoman corporal cpl major colonel
    col pfc private specialist pvt padre schwester pfarrer father mother sister brother chief mayor sheriff
    maitre me maestro maestra lic ing
    """
)
"""Before a name and part of it. Those that are words as well count when they are capitalised."""

TITLES_IN_LOWER_CASE: Final = words(
    """
    mr mrs ms mx dr drs prof sra srta dra herr frau mme mlle senora senor auntie aunt uncle coach pastor officer
    nurse doctor tia tio
    """
)
"""Count in lower case as well; only abbreviations are then part of the name."""

ABBREVIATED_TITLES: Final = words(
    """
    mr mrs ms mx dr drs prof rev fr sr sra srta dra hr mme mlle sgt capt lt det ofc st lic ing col cpl atty m
    """
)

RELATIONS: Final = words(
    """
    mother father mom mum mama mommy dad daddy papa sister brother sis bro son daughter wife husband hubby
    spouse partner boyfriend girlfriend bf gf fiance fiancee ex ex-husband ex-wife ex-boyfriend ex-girlfriend
    ex-partner aunt uncle cousin niece nephew grandmother grandfather grandma grandpa grandson granddaughter
    stepmother stepfather stepmom stepdad stepson stepdaughter stepsister stepbrother mother-in-law
    father-in-law sister-in-law brother-in-law son-in-law daughter-in-law half-brother half-sister godmother
    godfather twin roommate housemate flatmate coworker co-worker colleague friend bestie buddy boss manager
    supervisor teacher tutor therapist counselor counsellor psychiatrist psychologist physician doctor
    pediatrician pcp surgeon nurse midwife dentist lawyer attorney caseworker case-worker worker officer pastor
    priest rabbi imam sponsor mentor coach neighbor neighbour landlord landlady client patient pt ct clt student
    pupil kid child boy girl baby toddler infant guy man woman lady guardian caregiver carer babysitter nanny
    interpreter witness victim defendant dog cat puppy pet classmate teammate date crush lover abuser stalker
    bully employee clinician provider intern trainee resident attending caller resident survivor veteran fellow
    mutter vater mama schwester bruder sohn tochter frau mann ehemann ehefrau partnerin freund freundin tante
    onkel cousine oma opa grossmutter grossvater enkel enkelin nichte neffe nachbar nachbarin kollege kollegin
    chef chefin lehrer lehrerin klient klientin patientin arzt arztin hausarzt therapeut therapeutin kind junge
    madchen schwiegermutter schwiegervater stiefvater stiefmutter verlobter verlobte madre padre hermana hermano
    hijo hija esposa esposo marido mujer novia novio pareja tia tio prima primo sobrina sobrino abuela abuelo
    nieta nieto suegra suegro cunada cunado amiga amigo vecina vecino jefa jefe maestra maestro profesora
    profesor paciente cliente clienta doctora terapeuta psicologa psicologo companera companero nina nino mere
    pere soeur frere fils fille femme mari epoux epouse copain copine compagnon compagne tante oncle cousin
    cousine niece neveu grand-mere grand-pere ami amie voisin voisine patron patronne professeur eleve patiente
    medecin docteur therapeute psychiatre psychologue belle-mere beau-pere belle-soeur beau-frere
    """
)
"""A name may follow: "his mother Keisha", "my client, Jayden"."""

CLIENTS: Final = words(
    """
    client patient pt ct clt klient klientin patientin paciente patiente cliente friend student caller
    """
)
"""Initials may follow: "client JP", "pt. K."."""

LABELS: Final = RELATIONS | words(
    """
    name names surname firstname lastname first last middle full preferred maiden nickname alias aka member
    author signed signature signer by prepared written dictated transcribed reviewed staff facilitator leader
    contact contacts emergency kin nok guardian referred referral source referrer referring supervisor attn
    attention cc from to re dear subject caller spouse parent parents mother's payee insured subscriber
    policyholder beneficiary informant interviewer interviewee evaluator examiner assessor rater speaker
    participant participants attendees present attendee driver owner tenant applicant respondent petitioner
    plaintiff defendant claimant requester employee employer sibling siblings children child's who requested
    completed vorname nachname familienname name klient patient mutter vater behandler therapeut unterschrift
    ansprechpartner bezugsperson notfallkontakt nombre apellido apellidos paciente firma contacto responsable
    acompanante nom prenom signature medecin contact responsable beneficiario
    """
)
"""Before a colon and a name."""

INTRODUCTIONS: Final = words(
    """
    named nicknamed called alias aka nee formerly namens heisse heisst llamo llama llamada llamado appelle nomme
    nommee prenomme prenommee dear
    """
)
"""Directly before a name."""

GREETINGS: Final = words(
    """
    hi hello hey dear thanks sincerely regards best cheers love hallo liebe lieber hola querida querido bonjour
    salut cher chere thank
    """
)

BEFORE_NAMES: Final = words(
    """
    with told tell tells telling saw met meet meets see sees about and to from for by texted text asked ask
    loves love hates hate miss misses dated dating married marry divorced visited visit says hit hits hurt
    kissed hugged like likes between than joined introduced spoke talked including interviewed contacted emailed
    messaged yelled thanked helped raised against beside near without said mit und von bei con y de para avec et
    chez pour phoned calling texting seeing missing loving blames blamed trusts trust supports ignores ignored
    calls caught left leave leaving accused accuses named adopted babysits forgave forgives watch watched fired
    hired
    """
)
"""A name in lower case may follow."""

BEFORE_PERSONS: Final = words(
    """
    told tell tells telling met meet meets texted texts asked asks dated dating dates married marry divorced
    visited kissed hugged talked talk talks spoke speak speaks argued fought fight lives broke sees saw seeing
    """
)
"""Hardly anything but a person follows."""

AFTER_NAMES: Final = words(
    """
    found finds said says told tells reports reported states stated denies denied asked asks feels felt thinks
    thought wants wanted was is has had will would came comes went goes called calls texted texts described
    describes presents presented appeared appears endorses endorsed attended attends arrived arrives left leaves
    lives lived works worked agreed agrees admitted admits explained explains added adds noted notes expressed
    expresses discussed discusses shared shares mentioned mentions expresses complained complains cried cries
    laughed started began continues continued needs needed loves loved hates hated knows knew got gets gave
    gives took takes made makes moved moves wrote writes died passed hit hits yelled yells screamed threatened
    threatens refused refuses tried tries seems seemed looked looks sat missed misses completed completes
    identified identifies acknowledged acknowledges recalls recalled believes believed does did doesn't didn't
    isn't wasn't hasn't won't can't can could never always also who and's keeps kept stopped met meets joined
    became becomes became answered replied responded sagt sagte berichtet berichtete erzahlt erzahlte hat ist
    war wohnt lebt kam dice dijo refiere cuenta vive tiene fue es esta llego dit declare rapporte habite vit est
    etait raconte explique a
    """
)
"""What persons do: a name may stand before."""

REPORTING: Final = AFTER_NAMES - words(
    """
    is was will would can could has had does did a es est ist hat war never always also feels seems needs makes
    takes gives began started comes came
    """
)
"""What hardly anything but a person does: a word such as "Grace" before it is a name."""

ABSTRACT: Final = words(
    """
    hope faith joy grace summer winter autumn spring art love charity patience honor justice peace liberty
    destiny harmony serenity pride chance trust dawn heaven eden easter may april june august miracle
    """
)
"""Names of which things may be said as of persons: "Hope helps"."""

SAYING: Final = words(
    """
    said says told tells reports reported called calls texted texts asked asks cried yelled screamed admitted
    replied
    """
)

DETERMINERS: Final = words(
    """
    the a an this that these those my your his her its our their no every each some any one another such der die
    das ein eine el la los las un una le les
    """
)

BEFORE_MONTHS: Final = words(
    """
    in last next since until till by of this early late mid every through during before after from to around
    each end start beginning past
    """
)

EPONYM_NOUNS: Final = words(
    """
    inventory inventories scale scales method methods test tests syndrome disease index questionnaire assessment
    therapy theory theories technique techniques schema model checklist interview rating criteria palsy sign
    stages stage hierarchy cycle exercise approach protocol dementia chorea thyroiditis breathing triad effect
    score scores cards personality temperament lymphoma contracture area questions card jar depression anxiety
    hopelessness screen screener measure tool workbook worksheet principle law relaxation conditioning
    """
)
"""After a name, these make it the name of a thing."""

PARTICLES: Final = words(
    """
    de del della di da das do dos du des la las los le les van von der den ten ter te zu zum vom af av bin ibn
    ben bint al el ul ur y e abu abd st san santa saint mac mc
    """
)
SUFFIXES: Final = words(
    """
    jr sr ii iii iv junior senior esq phd md lcsw lmft lpc rn dds psyd
    """
)

LIVING: Final = tuple(
    tuple(phrase.split())
    for phrase in [
        "\n    lives in",
        " live in",
        " living in",
        " lived in",
        " moved to",
        " moved from",
        " move to",
        " moving to",
        " moving from",
        " relocated to",
        "\n    relocated from",
        " born in",
        " grew up in",
        " growing up in",
        " raised in",
        " resides in",
        " residing in",
        " reside in",
        " based in",
        "\n    originally from",
        " is from",
        " was from",
        " are from",
        " comes from",
        " came from",
        " hails from",
        " town of",
        " city of",
        " village\n    of",
        " suburb of",
        " outside",
        " outside of",
        " near",
        " native of",
        " resident of",
        " back in",
        " back to",
        " home in",
        " house in",
        "\n    apartment in",
        " shelter in",
        " family in",
        " mother in",
        " father in",
        " sister in",
        " brother in",
        " parents in",
        " commutes to",
        "\n    commutes from",
        " drove to",
        " drives to",
        " flew to",
        " traveled to",
        " travelled to",
        " drove from",
        " flew from",
        " visiting",
        "\n    neighborhood of",
        " i'm from",
        " im from",
        " from",
        " job in",
        " school in",
        " hospital in",
        " clinic in",
        " jail in",
        " prison in",
        "\n    rehab in",
        " stationed in",
        " stationed at",
        " county of",
        " wohnt in",
        " lebt in",
        " wohne in",
        " lebe in",
        " aus",
        " geboren in",
        "\n    nach",
        " vive en",
        " vivo en",
        " vivia en",
        " nacido en",
        " nacida en",
        " nacio en",
        " mudo a",
        " habite a",
        " vit a",
        " nee a",
        " ne a",
        "\n    demenage a",
        " originaire de",
        " reside en",
        " residente en",
        " a\n    ",
    ]
)
"""Before a place, as the folded words that end a phrase; one word alone counts before capitalised words only."""

PLACE_PREPOSITIONS: Final = words(
    """
    in from to near at around outside of through via en nach aus bei a desde hasta vers zu
    """
)

WORKING: Final = words(
    """
    works work worked working employed employee job nurse cashier teacher manager teaches taught attends
    attended attending enrolled enroll student studies studied studying graduated graduate goes went go going
    shift shifts interns internship intern volunteer volunteers volunteered hired fired admitted hospitalized
    inpatient outpatient treated treatment seen stay stays stayed staying resident position apprenticeship
    arbeitet arbeite studiert trabaja trabajo estudia travaille etudie server barista waitress waiter driver
    clerk supervisor principal counselor therapist practices practice internist detox rehab graduating applied
    apply classes class freshman sophomore junior senior worships member dining eats shops banks
    """
)
"""Before "at" and an organisation."""

ORGANISATION_NOUNS: Final = words(
    """
    school elementary academy university college hospital hospitals clinic clinics church temple mosque
    synagogue chapel cathedral parish bakery restaurant diner cafe grill pizzeria salon barbershop inc llc ltd
    corp corporation company co plc gmbh ag llp pllc bank agency center centre associates foundation institute
    shelter pharmacy daycare preschool kindergarten nursery lodge motel hotel inn supermarket market motors
    logistics industries systems partners enterprises holdings solutions consulting construction plumbing
    roofing electric landscaping trucking warehouse factory plant mill foundry farms farm ranch dairy brewery
    winery library museum theater theatre ministries ministry fellowship congregation assembly tabernacle
    seminary ymca gym fitness dealership insurance credit union department prison jail penitentiary correctional
    courthouse court base barracks nursing hospice rehabilitation rehab manor villa apartments estates towers
    residences condominiums counseling psychiatry pediatrics orthopedics dental dentistry oncology cardiology
    dermatology practice group services law llc. auto bodyshop garage tire hardware lumber grocery deli pub
    tavern bar steakhouse bistro boutique studio studios records media press times gazette herald tribune news
    radio airlines airport station terminal schule grundschule realschule hauptschule gesamtschule gymnasium
    universitat klinik klinikum krankenhaus kirche gemeinde backerei praxis apotheke verein werkstatt kita werke
    colegio escuela instituto universidad clinica iglesia parroquia panaderia farmacia empresa centro snf elem
    monastery abbey convent charities mission outreach alliance network society club lounge salon spa resort
    residencia ecole lycee universite clinique hopital eglise paroisse boulangerie pharmacie creche foyer
    societe mairie
    """
)
"""The last word of an organisation, mostly; it needs a word before it that is not generic."""

ORGANISATION_LABELS: Final = words(
    "employer employers school pharmacy company church agency facility hospital clinic lab workplace college university"
    " daycare arbeitgeber schule empresa escuela employeur shelter bank insurer practice"
)
"""Before a colon or a dash and an organisation."""

NO_EMPLOYERS: Final = words(
    """
    home night nights day days work school church office offices least first last once times risk all noon
    midnight dawn dusk weekends weekend morning evening peace length hand issue large will ease rest odds age
    ages lunch dinner breakfast keeping being getting making improving finding becoming staying building remote
    remotely
    """
)
"""What follows "works at" in lower case and is none."""

LEADING_ORGANISATION_NOUNS: Final = words(
    """
    university college church bank hospital hospice school academy institute temple clinic universidad colegio
    escuela instituto hospital clinica iglesia parroquia centro residencia ecole lycee college universite
    clinique hopital eglise paroisse boulangerie pharmacie foyer creche universitat klinik klinikum krankenhaus
    grundschule praxis kita gymnasium realschule kindergarten farmacia panaderia backerei apotheke restaurante
    restaurant bar hotel cafe ministry department
    """
)
"""Of an organisation whose name follows: "University of …", "Colegio San José", "Lycée Victor Hugo"."""

GENERIC: Final = words(
    """
    the a an our your my this that his her their its middle high elementary primary secondary junior senior
    community mental behavioral behavioural health medical general regional local public private crisis
    emergency suicide prevention counseling counselling care primary urgent acute intensive outpatient inpatient
    residential partial day treatment recovery addiction substance abuse family children child youth adolescent
    adult veterans veteran women men senior services service social human resource resources state federal
    county city national international american us law graduate business medical nursing dental vet veterinary
    night summer sunday charter magnet boarding catholic christian baptist methodist lutheran presbyterian
    jewish islamic protestant evangelical orthodox old new first second third fourth north south east west
    northern southern eastern western central main downtown student campus college university school hospital
    clinic church center centre learning education special after before religious spiritual pastoral support
    group home nursing assisted living memory rehab rehabilitation psychiatric psychological psychology
    psychiatry therapy wellness physical occupational speech pain sleep eating disorder disorders trauma anxiety
    depression domestic violence homeless drug alcohol detox methadone police fire sheriff probation parole
    juvenile district superior supreme municipal criminal court department office credit food grocery local
    large small big in of for and at to on with from by is was has call calls called his
    """
)
"""Words that do not tell one organisation from another."""

PLACE_NOUNS_AFTER: Final = words(
    """
    county township parish borough heights beach falls springs creek valley hills hill grove lake lakes island
    islands park village city town ridge point bay harbor harbour junction crossing river woods forest gardens
    landing mills estates shores meadows plains prairie bluff bluffs canyon peninsula district neighborhood
    reservation mountain mountains mesa bridge ferry ranch terrace glen
    """
)
PLACE_NOUNS_BEFORE: Final = words(
    """
    lake mount mt fort ft port point saint st ste san santa santo los las el la bad north south east west new
    old upper lower downtown cape camp isle ile rio sankt castle
    """
)

GENERIC_BEFORE_PLACE_NOUNS: Final = GENERIC | words(
    """
    same whole entire nearby another every each big little long beautiful small inner next
    """
)

STATES: Final = words(
    """
    al ak az ar ca co ct de dc fl ga hi id il in ia ks ky la me md ma mi mn ms mo mt ne nv nh nj nm ny nc nd oh
    ok or pa ri sc sd tn tx ut vt va wa wv wi wy pr on bc ab qc mb sk ns nb uk
    """
)
STATES_AND_NAMES: Final = words(
    """
    dakota georgia virginia carolina montana chad israel jordan kenya india asia ireland jersey alexandria
    """
)
"""States and countries that are given names more often than not where they do what persons do."""

STATE_NAMES: Final = words(
    """
    alabama alaska arizona arkansas california colorado connecticut delaware florida georgia hawaii idaho
    illinois indiana iowa kansas kentucky louisiana maine maryland massachusetts michigan minnesota mississippi
    missouri montana nebraska nevada ohio oklahoma oregon pennsylvania tennessee texas utah vermont virginia
    washington wisconsin wyoming ontario quebec alberta manitoba saskatchewan mexico germany france spain
    england scotland ireland wales canada austria switzerland italy india pakistan china japan vietnam brazil
    colombia nigeria ghana kenya ethiopia egypt philippines guatemala honduras haiti jamaica cuba
    """
)
"""After a town and a comma."""
