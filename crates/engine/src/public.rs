//! What the public may read: live notices as CAP 1.2 alerts, and an Atom feed of them.
//!
//! An alert is made of a notice's public text alone: neither the crews' text nor an incident's place
//! nor a name is in it. A demo's or a drill house's alerts are exercises, and say so first; in a real
//! house a drill is published nowhere.

use std::sync::Arc;

use hansho_alerts::{event_text, mode_mark, withdrawn_text};
use hansho_atlas::by_id;
use hansho_console::{PublicAlerts, Reads};
use hansho_core::{Notice, State};
use hansho_model::{
    DistrictId, IncidentKind, Language, Letter, Mode, NoticeId, NoticeKind, PublicText, Replacing,
};
use hansho_protocols::cap::atom::Feed;
use hansho_protocols::cap::{
    self, Alert, Area, AtLeastOne, Category, Certainty, Circle, Info, Item, Kind, Name, Period,
    Point, Reference, ResponseType, Scope, Severity, Status, Text, Time, Urgency, Uri,
};
use hansho_protocols::sip::decimal::Decimal;
use jiff::Timestamp;
use jiff::tz::Offset;

use crate::replica::Replica;

/// Where the feed is to be had, behind the address of the answer links.
pub const FEED_PATH: &str = "/public/alerts.atom";
/// Where an alert is to be had: this, its identifier, `.xml`.
pub const ALERTS_PATH: &str = "/public/alerts/";

/// Reads live notices for the public.
#[derive(Debug, Clone)]
pub struct PublicDesk {
    /// What is known.
    pub replica: Arc<Replica>,
}

impl PublicAlerts for PublicDesk {
    fn feed(&self) -> Option<String> {
        let mut feed = None;
        self.replica.with_state(&mut |state| feed = feed_of(state));
        feed
    }

    fn alert(&self, identifier: &str) -> Option<String> {
        let mut found = None;
        self.replica.with_state(&mut |state| {
            let notice = identifier.strip_prefix(PREFIX).and_then(|id| id.parse().ok());
            let alert = notice.and_then(|id: NoticeId| alert_of(state, id));
            found = alert.map(|alert| cap::write(&alert));
        });
        found
    }
}

/// Begins the identifiers of our alerts; the notice's own id follows.
const PREFIX: &str = "hansho-";

/// The feed of what is live: what is over, or has a newer one in its place, is not in it.
fn feed_of(state: &State) -> Option<String> {
    let settings = state.settings()?;
    let base = &settings.answer_url;
    let domain = settings.message_domain.as_str();
    let authority = Name::new(if domain.is_empty() { "hansho.invalid" } else { domain })?;
    let mark = mode_mark(settings.mode).unwrap_or_default();
    let feed = Feed {
        id: Uri::new(&format!("tag:{},2026:alerts", authority.as_str()))?,
        title: Text::new(&format!("{mark}{}", settings.headquarters))?,
        author: Text::new(&settings.headquarters)?,
        here: Uri::new(&format!("{base}{FEED_PATH}"))?,
        authority,
        status: status_of(settings.mode),
    };
    let live = state.notices().iter().filter(|(_, notice)| is_live(notice));
    let entries = live.filter_map(|(id, _)| {
        let alert = alert_of(state, *id)?;
        let link = Uri::new(&format!("{base}{ALERTS_PATH}{PREFIX}{id}.xml"))?;
        feed.entry(&alert, link).ok()
    });
    let entries: Vec<_> = entries.collect();
    Some(feed.write(changed_at(state), &entries))
}

/// When the feed last changed: a notice came, or one was over.
fn changed_at(state: &State) -> Timestamp {
    let public = state.notices().values().filter(|each| public_text(each).is_some());
    let changes = public
        .flat_map(|each| [Some(each.ordered_at), each.expired.then_some(each.expires_at)])
        .flatten();
    let latest = changes.max().unwrap_or(Timestamp::UNIX_EPOCH);
    Timestamp::from_second(latest.as_second()).unwrap_or(latest)
}

fn public_text(notice: &Notice) -> Option<(&Letter, &PublicText)> {
    let letter = notice.letter()?;
    Some((letter, letter.public.as_ref()?))
}

fn is_live(notice: &Notice) -> bool {
    public_text(notice).is_some() && !notice.expired && notice.replaced_by().is_none()
}

const fn status_of(mode: Mode) -> Status {
    match mode {
        Mode::Real => Status::Actual,
        Mode::Training | Mode::Demo => Status::Exercise,
    }
}

/// The alert that a notice is, live or not: who has its number may read what was said.
fn alert_of(state: &State, id: NoticeId) -> Option<Alert> {
    let notice = state.notices().get(&id)?;
    let (letter, text) = public_text(notice)?;
    let status = if letter.drill { Status::Exercise } else { status_of(notice.settings.mode) };
    // In a real house a drill is nobody's business.
    if status == Status::Exercise && notice.settings.mode == Mode::Real {
        return None;
    }
    let incident = letter.incident.and_then(|id| state.incidents().get(&id));
    let kind = incident.map_or(IncidentKind::Other, |incident| incident.kind);
    let event = match incident {
        Some(incident) => event_text(incident.kind, incident.subkind, Language::Ja),
        None => event_text(kind, None, Language::Ja),
    };
    let marks = format!(
        "{}{}",
        mode_mark(notice.settings.mode).unwrap_or_default(),
        if letter.drill { mode_mark(Mode::Training).unwrap_or_default() } else { "" }
    );
    // A cancellation that only repeated the words would be read as the alert.
    let withdrawn = matches!(letter.replaces, Some((_, Replacing::Withdrawal)));
    let (before, first) = if withdrawn { withdrawn_text(Language::Ja) } else { ("", "") };
    let lines = [marks.as_str(), first, text.text.as_str()];
    let lines: Vec<&str> = lines.into_iter().filter(|line| !line.is_empty()).collect();
    let sent = time(notice.ordered_at)?;
    let numbers = incident.and_then(|incident| Item::new(&incident.number));
    let info = Info {
        language: cap::Language::new("ja-JP")?,
        categories: category_of(kind).into(),
        event: Text::new(event)?,
        response_types: vec![response_of(letter.kind)],
        urgency: urgency_of(letter.kind),
        severity: severity_of(text.severity),
        certainty: Certainty::Observed,
        audience: None,
        event_codes: Vec::new(),
        period: Period::new(Some(sent.clone()), time(notice.expires_at))?,
        onset: None,
        sender_name: Text::new(&notice.settings.headquarters),
        headline: Text::new(&format!("{marks}{before}{}", text.headline)),
        description: Text::new(&lines.join("\n")),
        instruction: None,
        web: None,
        contact: None,
        parameters: Vec::new(),
        resources: Vec::new(),
        areas: text.districts.iter().filter_map(|district| area(*district)).collect(),
    };
    Some(Alert {
        identifier: identifier(id)?,
        sender: sender(notice)?,
        sent,
        status,
        kind: kind_of(state, id, notice, letter),
        source: None,
        scope: Scope::Public { addresses: None },
        codes: Vec::new(),
        note: None,
        incidents: numbers.map(AtLeastOne::from),
        infos: vec![info],
    })
}

/// A correction updates what it replaces, a withdrawal cancels it, and that it is over updates all that
/// was published of the incident and still stands.
fn kind_of(state: &State, id: NoticeId, notice: &Notice, letter: &Letter) -> Kind {
    if let Some((replaced, how)) = letter.replaces
        && let Some(before) = state.notices().get(&replaced)
        && let Some(reference) = reference(replaced, before)
    {
        return match how {
            Replacing::Correction => Kind::Update(reference.into()),
            Replacing::Withdrawal => Kind::Cancel(reference.into()),
        };
    }
    let of_incident = letter.incident.filter(|_| letter.kind == NoticeKind::AllClear);
    let earlier = of_incident.into_iter().flat_map(|incident| state.letters_of(incident));
    let standing = earlier.filter(|(other, each)| {
        *other < id && each.replaced_by().is_none() && each.expires_at > notice.ordered_at
    });
    let references = standing.filter_map(|(other, each)| reference(other, each)).collect();
    AtLeastOne::new(references).map_or(Kind::Alert(Vec::new()), Kind::Update)
}

/// How an alert is named by another; `None` when it was never public.
fn reference(id: NoticeId, notice: &Notice) -> Option<Reference> {
    public_text(notice)?;
    Some(Reference {
        sender: sender(notice)?,
        identifier: identifier(id)?,
        sent: time(notice.ordered_at)?,
    })
}

fn identifier(id: NoticeId) -> Option<Name> {
    Name::new(&format!("{PREFIX}{id}"))
}

fn sender(notice: &Notice) -> Option<Name> {
    let sender = notice.settings.sender.as_str();
    Name::new(if sender.is_empty() { "hansho" } else { sender })
}

/// In Japan's time, to the second.
fn time(at: Timestamp) -> Option<Time> {
    Time::new(at, Offset::constant(9))
}

/// A district by its name, and the circle that all its places are in: never a pin.
fn area(id: DistrictId) -> Option<Area> {
    let district = by_id(id)?;
    let degrees = |e7: i32| {
        let (sign, e7) = (if e7 < 0 { "-" } else { "" }, e7.unsigned_abs());
        let (whole, rest) = (e7.div_euclid(10_000_000), e7.rem_euclid(10_000_000));
        Decimal::parse(&format!("{sign}{whole}.{rest:07}")).ok()
    };
    let centre =
        Point::new(degrees(district.centre.lat.e7())?, degrees(district.centre.lon.e7())?)?;
    let (km, metres) = (district.radius.0.div_euclid(1_000), district.radius.0.rem_euclid(1_000));
    let radius = Decimal::parse(&format!("{km}.{metres:03}")).ok()?;
    Some(Area {
        description: Text::new(district.name)?,
        polygons: Vec::new(),
        circles: vec![Circle::new(centre, radius)?],
        geocodes: Vec::new(),
        heights: None,
    })
}

const fn category_of(kind: IncidentKind) -> Category {
    match kind {
        IncidentKind::Fire => Category::Fire,
        IncidentKind::Ems => Category::Health,
        IncidentKind::Rescue => Category::Rescue,
        IncidentKind::Precaution
        | IncidentKind::Disaster
        | IncidentKind::Search
        | IncidentKind::Support => Category::Safety,
        IncidentKind::Other => Category::Other,
    }
}

const fn response_of(kind: NoticeKind) -> ResponseType {
    match kind {
        // The crews go; the public keeps away.
        NoticeKind::CallOut => ResponseType::Avoid,
        NoticeKind::Muster | NoticeKind::Search | NoticeKind::Information => ResponseType::Monitor,
        NoticeKind::AllClear => ResponseType::AllClear,
    }
}

const fn urgency_of(kind: NoticeKind) -> Urgency {
    match kind {
        NoticeKind::CallOut | NoticeKind::Muster | NoticeKind::Search => Urgency::Immediate,
        NoticeKind::Information => Urgency::Expected,
        NoticeKind::AllClear => Urgency::Past,
    }
}

const fn severity_of(severity: hansho_model::Severity) -> Severity {
    match severity {
        hansho_model::Severity::Extreme => Severity::Extreme,
        hansho_model::Severity::Severe => Severity::Severe,
        hansho_model::Severity::Moderate => Severity::Moderate,
        hansho_model::Severity::Minor => Severity::Minor,
        hansho_model::Severity::Unknown => Severity::Unknown,
    }
}
