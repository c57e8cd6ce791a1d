use std::fs;
use std::path::PathBuf;

use hansho_model::{
    Ability, AlarmClass, AlarmKind, AnswerChoice, AssignmentEnd, AssignmentId, Attempt,
    Availability, AvailabilityReason, CallBackOutcome, CallEnd, CallFact, CallOffer, CallRef,
    CallSaid, CallerLocation, DegreesE7, Deviation, DeviceEntry, DistrictId, Door, EffectId,
    EffectOutcome, Event, Facts, Finding, Fix, FixMethod, FrameFault, Group, IncidentId,
    IncidentKind, IncidentOutcome, IncidentSubkind, KeyId, Lane, Language, Letter, LoadLevel,
    LocationFault, LocationMark, LocationShape, LocationSource, Mailbox, MessageId, MetresU32,
    Mode, NeedMet, NoticeId, NoticeKind, OrderWord, Outcome, OutcomeDetail, PersonEntry, PersonId,
    Phase, Place, Plan, PlanNeed, Position, PublicText, Recipient, Recommendation, Replacing, Role,
    Sealed, SealedReport, Seq, Settings, Settled, Severity, Sighting, SignalId, SignalOutcome,
    SiteEntry, SourceId, StatusReached, Telemetry, Template, Token, UnitAdvice, UnitEntry, UnitId,
    UnitKind, UnitStatus, UnitsOrdered, Usable, Why, Zone, ZoneDistance,
};
use jiff::Timestamp;

use super::*;
use crate::hex;

fn at(us: i64) -> Timestamp {
    Timestamp::from_microsecond(us).unwrap()
}

fn sealed(key: u64) -> Sealed {
    Sealed { key: KeyId(key), bytes: vec![0xa0, 0x00, 0xff] }
}

fn effect(seq: u64, index: u32) -> EffectId {
    EffectId { seq: Seq::new(seq), index }
}

fn signal() -> SignalId {
    SignalId(Seq::new(184_200))
}

fn incident() -> IncidentId {
    IncidentId(Seq::new(184_210))
}

fn position() -> Position {
    Position::new(DegreesE7::from_e7(370_505_000), DegreesE7::from_e7(-1_408_876_666)).unwrap()
}

fn people() -> Vec<Event> {
    let settings = Settings {
        mode: Mode::Demo,
        headquarters: "いわき市消防本部".to_owned(),
        sender: "hansho@city.example.jp".to_owned(),
        message_domain: "city.example.jp".to_owned(),
        answer_url: "http://127.0.0.1:8119".to_owned(),
        answer_minutes: 60,
    };
    let person = PersonEntry {
        key: "helper-0001".to_owned(),
        digest: Token([1; 16]),
        name: sealed(7),
        mailboxes: vec![Mailbox { address: sealed(7), token: Token([2; 16]) }],
        language: Language::Ja,
        role: Some(Role::Dispatcher),
    };
    let bare =
        PersonEntry { mailboxes: Vec::new(), language: Language::En, role: None, ..person.clone() };
    let device = DeviceEntry {
        source: "dc09:4901".to_owned(),
        subscriber: "subscriber-0001".to_owned(),
        helpers: vec!["helper-0001".to_owned(), "helper-0002".to_owned()],
        district: Some(DistrictId(1)),
        address: Some(sealed(8)),
        digest: Token([3; 16]),
        zones: Vec::new(),
        interval_s: None,
    };
    let lone = DeviceEntry { helpers: Vec::new(), district: None, address: None, ..device.clone() };
    let (source, subscriber) = (SourceId(12), PersonId(3));
    vec![
        Event::CoreStarted { epoch: 3, release: "0.1.0".to_owned() },
        Event::ClockStepped { back_us: 1_500_000 },
        Event::ClockStepped { back_us: -1 },
        Event::SettingsApplied(settings),
        Event::SourceNamed { source, name: "dc09:4901".to_owned() },
        Event::PersonEntered { person: PersonId(300), entry: person },
        Event::PersonEntered { person: PersonId(301), entry: bare },
        Event::PersonErased { person: PersonId(300) },
        Event::DeviceRegistered {
            device: source,
            subscriber,
            helpers: vec![PersonId(300), PersonId(70_000)],
            entry: device,
        },
        Event::DeviceRegistered { device: source, subscriber, helpers: Vec::new(), entry: lone },
        Event::DeviceWithdrawn { device: source },
    ]
}

fn reports() -> Vec<Event> {
    let full = SealedReport {
        door: Door::Dc09,
        source: "dc09:4901".to_owned(),
        lane: Lane::A,
        observed_at: Some(at(1_795_410_048_000_000)),
        received_at: at(1_795_410_050_123_456),
        device_key: vec![0, 1, 2],
        findings: vec![
            Finding {
                class: AlarmClass::Life,
                kind: AlarmKind::Help,
                phase: Phase::New,
                code: "CID 101".to_owned(),
                zone: "001".to_owned(),
            },
            Finding {
                class: AlarmClass::Fault,
                kind: AlarmKind::Battery,
                phase: Phase::Restored,
                code: String::new(),
                zone: String::new(),
            },
        ],
        position: Some(position()),
        telemetry: None,
        text: Some(sealed(9)),
        raw: sealed(9),
        peer: sealed(10),
        refused: Some(FrameFault::NoKey),
        deviations: vec![Deviation::CrcWithCr, Deviation::UnreadableStamp],
    };
    let bare = SealedReport {
        lane: Lane::D,
        observed_at: None,
        device_key: Vec::new(),
        findings: Vec::new(),
        position: None,
        text: None,
        refused: None,
        deviations: Vec::new(),
        ..full.clone()
    };
    vec![Event::ReportReceived(Box::new(full)), Event::ReportReceived(Box::new(bare))]
}

fn signals() -> Vec<Event> {
    let (signal, incident, report, zone) = (signal(), incident(), Seq::new(300), "7".to_owned());
    let (alarm, number) = (AlarmKind::Fall, "1123-3".to_owned());
    let place = Place {
        district: Some(DistrictId(13)),
        position: Some(position()),
        radius: Some(MetresU32(50)),
        confirmed: true,
    };
    let nowhere = Place { district: None, position: None, radius: None, confirmed: false };
    vec![
        Event::SignalReceived { signal, report, alarm, zone: zone.clone(), refused: true },
        Event::SignalRepeated { signal, report, alarm, restored: true, zone },
        Event::SignalAcknowledged { signal, position: "desk1".to_owned() },
        Event::SignalJoined { signal, incident },
        Event::SignalEnded { signal, outcome: SignalOutcome::Mistake, reason: Some(sealed(11)) },
        Event::SignalEnded { signal, outcome: SignalOutcome::NothingFound, reason: None },
        Event::IncidentOpened {
            incident,
            number: number.clone(),
            kind: IncidentKind::Ems,
            subkind: None,
            place,
            place_text: Some(sealed(11)),
        },
        Event::IncidentOpened {
            incident,
            number,
            kind: IncidentKind::Other,
            subkind: None,
            place: nowhere,
            place_text: None,
        },
        Event::IncidentNoted { incident, text: sealed(11) },
        Event::IncidentClosed {
            incident,
            outcome: IncidentOutcome::FalseAlarm,
            note: Some(sealed(11)),
        },
        Event::IncidentClosed { incident, outcome: IncidentOutcome::Handled, note: None },
        Event::FaultRaised {
            device: SourceId(12),
            fault: AlarmKind::Mains,
            code: "CID 301".to_owned(),
            zone: "000".to_owned(),
        },
        Event::FaultCleared {
            device: SourceId(12),
            fault: AlarmKind::Mains,
            zone: "000".to_owned(),
        },
    ]
}

fn notices() -> Vec<Event> {
    let (notice, expires_at) = (NoticeId(Seq::new(184_300)), at(1_795_413_650_000_000));
    let recipient = Recipient {
        person: PersonId(300),
        address: sealed(7),
        token: Token([4; 16]),
        name: sealed(7),
        language: Language::En,
    };
    let facts = Facts {
        alarm: AlarmKind::Help,
        subscriber: Some(sealed(8)),
        address: Some(sealed(8)),
        district: Some(DistrictId(1)),
        at: at(1_795_410_050_123_457),
        sighting: None,
    };
    let bare = Facts { subscriber: None, address: None, district: None, ..facts.clone() };
    let template = Template::PendantAlarm;
    let enhanced = Some((5, 1, 1));
    let outcome = EffectOutcome {
        effect: effect(184_300, 0),
        attempt: 2,
        outcome: Outcome::Failed,
        detail: OutcomeDetail { code: 550, enhanced, again: true },
    };
    let plain = EffectOutcome {
        effect: effect(184_300, 4_095),
        attempt: 1,
        outcome: Outcome::Uncertain,
        detail: OutcomeDetail::default(),
    };
    vec![
        Event::NoticeOrdered {
            notice,
            signal: Some(signal()),
            template,
            facts,
            recipients: vec![recipient.clone(), recipient],
            expires_at,
        },
        Event::NoticeOrdered {
            notice,
            signal: None,
            template,
            facts: bare,
            recipients: Vec::new(),
            expires_at,
        },
        Event::NoticeExpired { notice },
        Event::EffectsAttempted {
            attempts: vec![
                Attempt { effect: effect(184_300, 0), number: 1 },
                Attempt { effect: effect(184_300, 4_095), number: 300 },
            ],
        },
        Event::EffectsSettled {
            outcomes: vec![
                Settled { outcome, again_at: Some(at(1_795_410_112_000_000)) },
                Settled { outcome: plain, again_at: None },
            ],
        },
    ]
}

fn answers() -> Vec<Event> {
    let (answered, received_at) = (effect(184_300, 1), at(1_795_410_110_000_001));
    let (token, expires_at) = (Token([5; 16]), at(1_795_440_000_000_000));
    let choice = AnswerChoice::Late;
    vec![
        Event::AnswerGiven { effect: answered, choice, minutes: Some(20), received_at },
        Event::AnswerGiven {
            effect: answered,
            choice: AnswerChoice::Cannot,
            minutes: None,
            received_at,
        },
        Event::SessionOpened { token, role: Role::Supervisor, expires_at },
        Event::SessionClosed { token },
        Event::LogInRefused { name: Token([6; 16]) },
    ]
}

/// What a tracker says: version 2 of kind 9.
fn tracks() -> Vec<Event> {
    let fix = Fix {
        position: position(),
        at: Some(at(1_795_410_048_000_000)),
        valid: true,
        method: FixMethod::Gnss,
        accuracy: Some(MetresU32(15)),
        speed_e2_kmh: Some(430),
        course_e2: Some(35_999),
        altitude_cm: Some(-120),
        satellites: Some(9),
    };
    let found = Telemetry {
        fix: Some(fix),
        battery: Some(85),
        charging: Some(false),
        steps: Some(1_200),
        pulse: Some(62),
        stored: true,
    };
    let report = SealedReport {
        door: Door::Watch,
        source: "watch:8800000003".to_owned(),
        lane: Lane::D,
        observed_at: None,
        received_at: at(1_795_410_050_123_456),
        device_key: Vec::new(),
        findings: Vec::new(),
        position: None,
        telemetry: Some(found),
        text: None,
        raw: sealed(9),
        peer: sealed(10),
        refused: None,
        deviations: Vec::new(),
    };
    let beat = SealedReport { telemetry: Some(Telemetry::default()), ..report.clone() };
    vec![Event::ReportReceived(Box::new(report)), Event::ReportReceived(Box::new(beat))]
}

/// What the telephone side says, and what people do with calls.
fn calls() -> Vec<Event> {
    let received_at = at(1_795_410_051_000_412);
    let said = |fact, unrecorded| {
        let call = CallRef("a84b4c76e66710@pc33.example.jp".to_owned());
        Box::new(CallSaid { call, received_at, unrecorded, fact })
    };
    let location = CallerLocation {
        source: LocationSource::Value,
        shape: Some(LocationShape::Circle),
        centre: Some(position()),
        radius: Some(MetresU32(18)),
        confidence: Some(95),
        method: "GPS".to_owned(),
        at: Some(at(1_795_410_050_000_000)),
        civic: Some(sealed(9)),
        refused: None,
        marks: vec![LocationMark::Outside, LocationMark::Wide],
    };
    let unread = CallerLocation {
        source: LocationSource::Reference,
        shape: None,
        centre: None,
        radius: None,
        confidence: None,
        method: String::new(),
        at: None,
        civic: None,
        refused: Some(LocationFault::NotAsked),
        marks: Vec::new(),
    };
    let offer = CallOffer {
        number: Some(sealed(9)),
        withheld: false,
        service: "sos.fire".to_owned(),
        locations: vec![location, unread],
        peer: sealed(10),
        raw: sealed(9),
    };
    let bare = CallOffer {
        number: None,
        withheld: true,
        service: String::new(),
        locations: Vec::new(),
        ..offer.clone()
    };
    let desk = || "desk1".to_owned();
    let facts = vec![
        (CallFact::Offered(Box::new(offer)), false, Some(Token([7; 16]))),
        (CallFact::Offered(Box::new(bare)), true, None),
        (CallFact::Abandoned, false, None),
        (CallFact::Connected { position: desk() }, true, None),
        (CallFact::NotConnected { position: desk(), status: 486 }, false, None),
        (CallFact::Ended { by: CallEnd::Lost }, false, None),
    ];
    let facts = facts.into_iter().map(|(fact, unrecorded, caller)| Event::CallReceived {
        said: said(fact, unrecorded),
        caller,
    });
    let (signal, outcome) = (signal(), CallBackOutcome::NoAnswer);
    let done = [
        Event::CallAnswered { signal, position: desk() },
        Event::CallAnswerLapsed { signal },
        Event::CallBackDue { signal },
        Event::CallBackTried { signal, outcome },
    ];
    facts.chain(done).collect()
}

/// Where incidents are, of which kind, and what is typed meanwhile.
fn places() -> Vec<Event> {
    let incident = incident();
    let place = Place {
        district: Some(DistrictId(2)),
        position: Some(position()),
        radius: Some(MetresU32(50)),
        confirmed: true,
    };
    let (kind, subkind) = (IncidentKind::Fire, Some(IncidentSubkind::Building));
    let (form, number) = ("call:s184200".to_owned(), "1123-3".to_owned());
    let opened = |place_text| Event::IncidentOpened {
        incident,
        number: number.clone(),
        kind,
        subkind,
        place: place.clone(),
        place_text,
    };
    vec![
        opened(Some(sealed(11))),
        opened(None),
        Event::PlaceSet { incident, place: place.clone(), place_text: Some(sealed(11)) },
        Event::PlaceSet { incident, place: Place::default(), place_text: None },
        Event::KindSet { incident, kind, subkind },
        Event::KindSet { incident, kind: IncidentKind::Other, subkind: None },
        Event::DraftSaved { form: form.clone(), text: sealed(11) },
        Event::DraftCleared { form },
    ]
}

/// Units, plans and what is said of them.
fn units() -> Vec<Event> {
    let (unit, at) = (UnitId(7), at(1_795_410_050_123_456));
    let entry = UnitEntry {
        call_sign: "小名浜はしご1".to_owned(),
        station: "小名浜".to_owned(),
        position: position(),
        kind: UnitKind::Ladder,
        abilities: vec![Ability::Ladder],
        crew: 4,
        cross_staffed_with: Some("小名浜1".to_owned()),
        reserve: false,
        terminal: None,
    };
    let with_terminal = UnitEntry { terminal: Some("ONAHAMA-9".to_owned()), ..entry.clone() };
    let bare = UnitEntry {
        abilities: Vec::new(),
        cross_staffed_with: None,
        reserve: true,
        ..entry.clone()
    };
    let water = Some((Ability::Water, 2));
    let pumps = PlanNeed { ability: Ability::Pump, count: 4, with: water };
    let ambulance = PlanNeed { ability: Ability::Ambulance, count: 1, with: None };
    let building = Some(IncidentSubkind::Building);
    let plans = vec![
        Plan { kind: IncidentKind::Fire, subkind: building, first: vec![pumps, ambulance] },
        Plan { kind: IncidentKind::Other, subkind: None, first: Vec::new() },
    ];
    let late = Usable {
        availability: Availability::Delayed,
        reason: Some(AvailabilityReason::Training),
        minutes: Some(300),
    };
    vec![
        Event::UnitRegistered { unit, entry: with_terminal },
        Event::UnitRegistered { unit, entry },
        Event::UnitRegistered { unit: UnitId(300), entry: bare },
        Event::UnitWithdrawn { unit: UnitId(300) },
        Event::PlansApplied { plans },
        Event::PlansApplied { plans: Vec::new() },
        Event::UnitFoundOut { unit, status: UnitStatus::AtHospital, at },
        Event::AvailabilityChanged { unit, usable: late, since: at },
        Event::AvailabilityChanged { unit, usable: Usable::AVAILABLE, since: at },
        Event::CrewMoved { unit, with: Some(UnitId(300)) },
        Event::CrewMoved { unit, with: None },
    ]
}

/// Orders and what comes of them.
fn orders() -> Vec<Event> {
    let (unit, at) = (UnitId(7), at(1_795_410_050_123_456));
    let assignment = AssignmentId { order: Seq::new(184_250), unit };
    let chosen = UnitAdvice {
        unit,
        chosen: true,
        ability: Some(Ability::Pump),
        minutes: Some(400),
        distance: Some(MetresU32(2_876)),
        why: vec![Why::NearestByLine, Why::HomeStation],
    };
    let unknown = UnitAdvice {
        unit: UnitId(300),
        chosen: false,
        ability: None,
        minutes: None,
        distance: None,
        why: vec![Why::NoPlace],
    };
    let recommendation = Recommendation {
        needs: vec![NeedMet { ability: Ability::Pump, want: 4, have: 3 }],
        units: vec![chosen, unknown],
    };
    let ordered = UnitsOrdered {
        incident: incident(),
        units: vec![unit, UnitId(300)],
        reason: Some(sealed(11)),
        overridden: true,
        recommendation,
    };
    let plain = UnitsOrdered {
        units: Vec::new(),
        reason: None,
        overridden: false,
        recommendation: Recommendation::default(),
        ..ordered.clone()
    };
    let reached = StatusReached { assignment, status: UnitStatus::OnScene, at, corrects: None };
    let corrects = Some(Seq::new(184_260));
    vec![
        Event::UnitsOrdered(Box::new(ordered)),
        Event::UnitsOrdered(Box::new(plain)),
        Event::AssignmentStarted { assignment },
        Event::AssignmentEnded { assignment, end: AssignmentEnd::Diverted },
        Event::SheetOrdered { assignment, word: OrderWord::Withdrawn },
        Event::UnitStatusReached(reached),
        Event::UnitStatusReached(StatusReached { corrects, ..reached }),
    ]
}

/// Safe zones: kinds 50 to 53, and version 2 of kinds 7 and 20.
fn zones() -> Vec<Event> {
    let (device, zone) = (SourceId(12), "自宅".to_owned());
    let (distance, accuracy) = (MetresU32(320), MetresU32(15));
    let since = at(1_795_410_048_000_000);
    let known = Zone { name: zone.clone(), centre: position(), radius: MetresU32(200) };
    let entry = DeviceEntry {
        source: "watch:8800000003".to_owned(),
        subscriber: "subscriber-0001".to_owned(),
        helpers: Vec::new(),
        district: None,
        address: None,
        digest: Token([3; 16]),
        zones: vec![known],
        interval_s: Some(300),
    };
    let bare = DeviceEntry { zones: Vec::new(), ..entry.clone() };
    let (subscriber, helpers) = (PersonId(3), Vec::new());
    let seen = Sighting {
        position: position(),
        accuracy: Some(accuracy),
        at: since,
        zone: Some(ZoneDistance { zone: zone.clone(), distance }),
    };
    let told = |template, sighting| Event::NoticeOrdered {
        notice: NoticeId(Seq::new(184_300)),
        signal: Some(signal()),
        template,
        facts: Facts {
            alarm: AlarmKind::LeftZone,
            subscriber: None,
            address: None,
            district: None,
            at: since,
            sighting: Some(sighting),
        },
        recipients: Vec::new(),
        expires_at: since,
    };
    let nowhere = Sighting { accuracy: None, zone: None, ..seen.clone() };
    vec![
        Event::ZoneLeft { device, zone: zone.clone(), distance, accuracy, signal: Some(signal()) },
        Event::ZoneLeft { device, zone: zone.clone(), distance, accuracy, signal: None },
        Event::ZoneEntered { device, zone: zone.clone(), distance },
        Event::ZoneDoubted { device, zone, distance, since, at: at(1_795_410_068_000_000) },
        Event::FixDoubted { device, distance, seconds: 7 },
        Event::DeviceRegistered { device, subscriber, helpers: helpers.clone(), entry },
        Event::DeviceRegistered { device, subscriber, helpers, entry: bare },
        told(Template::TrackerLeftZone, seen),
        told(Template::TrackerReturned, nowhere),
    ]
}

/// At least one of every kind of the first release; where a value may be absent, one with and one
/// without. The golden journal is made of these.
pub(crate) fn first_samples() -> Vec<Event> {
    [people(), reports(), signals(), notices(), answers()].concat()
}

fn loads() -> Vec<Event> {
    let level = |number| Event::LoadChanged { level: LoadLevel::new(number).unwrap() };
    vec![level(0), level(4), Event::AlarmsLimited { device: SourceId(401) }]
}

fn sites() -> Vec<Event> {
    let device = SourceId(402);
    let entry = SiteEntry {
        source: "sbd:300000000000111".to_owned(),
        name: "川前支所".to_owned(),
        district: Some(DistrictId(12)),
        digest: Token([9; 16]),
    };
    let bare = SiteEntry { district: None, ..entry.clone() };
    let (message, text) = (MessageId(Seq::new(184_400)), sealed(11));
    let until = at(1_795_413_650_000_000);
    vec![
        Event::SiteRegistered { device, entry },
        Event::SiteRegistered { device, entry: bare },
        Event::SiteWithdrawn { device },
        Event::MessageOrdered { message, device, text, until },
    ]
}

fn letters() -> Vec<Event> {
    let group = Group {
        name: "第二支団 第3分団".to_owned(),
        members: vec![PersonId(300), PersonId(7)],
        senders: vec![Role::Dispatcher, Role::Supervisor],
        digest: Token([7; 16]),
    };
    let empty = Group { members: Vec::new(), senders: Vec::new(), ..group.clone() };
    let notice = NoticeId(Seq::new(184_500));
    let bare = Letter {
        group: "dan-2-3".to_owned(),
        kind: NoticeKind::CallOut,
        drill: false,
        subject: sealed(11),
        text: sealed(12),
        incident: None,
        replaces: None,
        public: None,
    };
    let whole = Letter {
        drill: true,
        kind: NoticeKind::AllClear,
        incident: Some(incident()),
        replaces: Some((NoticeId(Seq::new(184_300)), Replacing::Withdrawal)),
        public: Some(PublicText {
            headline: "建物火災".to_owned(),
            text: "煙が見えます。".to_owned(),
            districts: vec![DistrictId(1), DistrictId(13)],
            severity: Severity::Severe,
        }),
        ..bare.clone()
    };
    let recipient = Recipient {
        person: PersonId(300),
        address: sealed(7),
        token: Token([3; 16]),
        name: sealed(8),
        language: Language::En,
    };
    let expires_at = at(1_795_413_650_000_000);
    let ordered = |letter, recipients| Event::LetterOrdered {
        notice,
        letter: Box::new(letter),
        recipients,
        expires_at,
    };
    let key = "dan-2-3".to_owned();
    vec![
        Event::GroupRegistered { key: key.clone(), group },
        Event::GroupRegistered { key: key.clone(), group: empty },
        Event::GroupWithdrawn { key },
        ordered(whole, vec![recipient]),
        ordered(bare, Vec::new()),
        Event::NoticeReplaced { notice: NoticeId(Seq::new(184_300)), by: notice },
    ]
}

/// The same for all releases.
fn samples() -> Vec<Event> {
    [
        first_samples(),
        tracks(),
        calls(),
        places(),
        units(),
        orders(),
        zones(),
        loads(),
        sites(),
        letters(),
    ]
    .concat()
}

fn golden(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("golden").join(name)
}

/// Compares with a golden file. A new one is written once, on request; an old one never again.
pub(crate) fn assert_golden(name: &str, found: &str) {
    let path = golden(name);
    if !path.exists() && std::env::var_os("HANSHO_NEW_GOLDEN").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, found).unwrap();
    }
    let wanted = fs::read_to_string(&path).unwrap_or_else(|_missing| {
        panic!("golden/{name} is missing; HANSHO_NEW_GOLDEN=1 makes it")
    });
    assert_eq!(found, wanted, "golden/{name}: the format on the disk is for ever");
}

#[test]
fn every_kind_reads_and_writes_its_golden_bytes() {
    let samples = samples();
    for (number, name) in kinds::ALL {
        for ver in 1..=newest(*number) {
            let mut lines = String::new();
            for event in &samples {
                // The second sample of a kind has a cause.
                let cause = (!lines.is_empty()).then_some(Seq::new(184_199));
                let encoded = encode(cause, event).unwrap();
                if (encoded.kind, encoded.ver) == (*number, ver) {
                    let back = decode(i64::from(*number), i64::from(ver), &encoded.body).unwrap();
                    assert_eq!(back, (cause, event.clone()));
                    lines.push_str(&hex::encode(&encoded.body));
                    lines.push('\n');
                }
            }
            assert!(!lines.is_empty(), "no sample of {name}, version {ver}");
            assert_golden(&format!("v{ver}/{name}.hex"), &lines);
        }
    }
}

#[test]
fn numbers_of_kinds_and_words_are_as_ever() {
    let kinds: String =
        kinds::ALL.iter().map(|(number, name)| format!("{number} {name}\n")).collect();
    assert_golden("kinds.txt", &kinds);
    assert_golden("codes.txt", &codes::tables());
}

#[test]
fn every_word_reads_back_from_its_number() {
    use super::codes::Code;
    fn check<T: Code + PartialEq + std::fmt::Debug>(all: &[T]) {
        let mut seen = std::collections::BTreeSet::new();
        for word in all {
            assert_eq!(T::from_code(word.code()), Ok(*word));
            assert!(word.code() != 0 && seen.insert(word.code()));
        }
        for code in (0..=u8::MAX).filter(|code| !seen.contains(code)) {
            assert_eq!(T::from_code(code), Err(BodyError::UnknownCode { table: T::TABLE, code }));
        }
    }
    check(AlarmClass::ALL);
    check(AlarmKind::ALL);
    check(Phase::ALL);
    check(IncidentKind::ALL);
    check(SignalOutcome::ALL);
    check(IncidentOutcome::ALL);
    check(Role::ALL);
    check(Template::ALL);
    check(Outcome::ALL);
    check(NoticeKind::ALL);
    check(Replacing::ALL);
    check(Severity::ALL);
    check(AnswerChoice::ALL);
    check(&Lane::ALL);
    check(FrameFault::ALL);
    check(Language::ALL);
    check(Mode::ALL);
    check(Door::ALL);
    check(FixMethod::ALL);
    check(Deviation::ALL);
    check(IncidentSubkind::ALL);
    check(CallBackOutcome::ALL);
    check(CallEnd::ALL);
    check(LocationSource::ALL);
    check(LocationShape::ALL);
    check(LocationFault::ALL);
    check(LocationMark::ALL);
    check(UnitKind::ALL);
    check(Ability::ALL);
    check(Availability::ALL);
    check(AvailabilityReason::ALL);
    check(UnitStatus::ALL);
    check(AssignmentEnd::ALL);
    check(OrderWord::ALL);
    check(Why::ALL);
}

#[test]
fn a_newer_release_is_named_in_the_error() {
    let text = |kind, ver, body: &[u8]| decode(kind, ver, body).unwrap_err().to_string();
    insta::assert_snapshot!(text(999, 1, &[0]), @"kind 999 is unknown: the journal is of a newer version, update hansho");
    insta::assert_snapshot!(text(-1, 1, &[0]), @"kind -1 is unknown: the journal is of a newer version, update hansho");
    insta::assert_snapshot!(text(2, 2, &[0]), @"version 2 of ClockStepped is unknown: the journal is of a newer version, update hansho");
    // SessionOpened with role 9.
    let mut body = vec![0];
    body.extend([5; 16]);
    body.extend([9, 0]);
    insta::assert_snapshot!(text(25, 1, &body), @"Role has no word 9: the journal is of a newer version, update hansho");
}

#[test]
fn wrong_bytes_are_refused() {
    let text = |kind, body: &[u8]| decode(kind, 1, body).unwrap_err().to_string();
    insta::assert_snapshot!(text(2, &[]), @"the bytes are not a payload of this kind");
    insta::assert_snapshot!(text(2, &[0, 2, 7, 7]), @"2 bytes are left over behind the payload");
    insta::assert_snapshot!(text(15, &[0, 5, 0, 1, 0, 1, 0x82, 0xa4, 0xa7, 0xda, 0x06, 0, 0, 0, 0]), @"the value of a position is out of its range");
    let mut late = vec![0];
    late.extend([5; 16]);
    late.push(1);
    late.extend(postcard::to_allocvec(&i64::MAX).unwrap());
    insta::assert_snapshot!(text(25, &late), @"the value of a time is out of its range");
}

#[test]
fn any_bytes_are_an_event_or_an_error() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let bytes = proptest::collection::vec(proptest::num::u8::ANY, 0..200);
    runner
        .run(&(0_i64..70, 1_i64..3, bytes), |(kind, ver, bytes)| {
            if let Ok((cause, event)) = decode(kind, ver, &bytes) {
                let again = encode(cause, &event).unwrap();
                let back = decode(kind, i64::from(again.ver), &again.body).unwrap();
                proptest::prop_assert_eq!(back, (cause, event));
            }
            Ok(())
        })
        .unwrap();
}

#[test]
fn cut_bodies_are_errors() {
    for event in samples() {
        let encoded = encode(Some(Seq::new(5)), &event).unwrap();
        for end in 0..encoded.body.len() {
            let (kind, ver) = (i64::from(encoded.kind), i64::from(encoded.ver));
            decode(kind, ver, &encoded.body[..end]).unwrap_err();
        }
    }
}

#[test]
fn an_export_tells_words_as_numbers_and_bytes_as_hex() {
    let event = Event::SignalEnded {
        signal: signal(),
        outcome: SignalOutcome::Mistake,
        reason: Some(sealed(11)),
    };
    let encoded = encode(Some(Seq::new(9)), &event).unwrap();
    let (cause, told) = json(i64::from(encoded.kind), 1, &encoded.body).unwrap();
    assert_eq!(cause, Some(Seq::new(9)));
    insta::assert_snapshot!(told, @r#"{"outcome":6,"reason":{"bytes":"a000ff","key":11},"signal":184200}"#);
    for event in samples() {
        let encoded = encode(None, &event).unwrap();
        json(i64::from(encoded.kind), i64::from(encoded.ver), &encoded.body).unwrap();
    }
}
