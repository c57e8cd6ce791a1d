//! Alerts (CAP) as programs of others read them: the schema of the standard, and a reader of feeds.

use std::fs;
use std::path::{Path, PathBuf};

use hansho_protocols::cap::atom::Feed;
use hansho_protocols::cap::{
    Alert, AtLeastOne, Kind, Name, Reference, ResponseType, Scope, Status, Text, Time, Urgency,
    Uri, read, write,
};

use crate::house::text;
use crate::peers::{python, script};

const ALERT: &str = r#"<alert xmlns="urn:oasis:names:tc:emergency:cap:1.2"><identifier>HANSHO-20261123-0001</identifier><sender>alert@hansho.example.jp</sender><sent>2026-11-23T08:45:00+09:00</sent><status>Actual</status><msgType>Alert</msgType><source>desk</source><scope>Public</scope><addresses>a "b c"</addresses><code>x</code><note>&lt;n&gt; &amp; ]]&gt;</note><incidents>17</incidents><info><language>ja-x-yasashii</language><category>Fire</category><category>CBRNE</category><event>かじ</event><responseType>Avoid</responseType><urgency>Immediate</urgency><severity>Severe</severity><certainty>Observed</certainty><audience>all</audience><eventCode><valueName>e</valueName><value/></eventCode><effective>2026-11-23T08:45:00+09:00</effective><onset>2026-11-23T08:40:00+09:00</onset><expires>2026-11-23T12:45:00+09:00</expires><senderName>いわき市消防本部</senderName><headline>かじ です</headline><description>ちかづかないで ください。</description><instruction>にげて ください。</instruction><web>https://hansho.example.jp/1?a=1&amp;b=2</web><contact>119</contact><parameter><valueName>p</valueName><value>v</value></parameter><resource><resourceDesc>map</resourceDesc><mimeType>image/png</mimeType><size>3</size><uri>map.png</uri><derefUri>AAAA</derefUri><digest>0123456789abcdef0123456789abcdef01234567</digest></resource><area><areaDesc>平</areaDesc><polygon>37,140 37,141 38,141 37,140</polygon><circle>37.0505,140.8876 0.5</circle><geocode><valueName>JIS_X0402</valueName><value>07204</value></geocode><altitude>100</altitude><ceiling>300.5</ceiling></area></info></alert>"#;

/// The shared folder's documents and the schema among them.
fn shared() -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let shared = std::env::var_os("HANSHO_SHARED")
        .map_or_else(|| root.join("../shared"), |path| root.join(PathBuf::from(path)));
    let folder = shared.join("vectors/cap");
    if folder.join("CAP-v1.2.xsd").is_file() {
        return Some(folder);
    }
    println!("skipped: {} has no schema of CAP (HANSHO_SHARED)", folder.display());
    None
}

/// One for everybody, and what becomes of it: over, withdrawn, a drill, for the corps alone.
fn ours() -> Vec<Alert> {
    let first = read(ALERT.as_bytes()).unwrap();
    let next = |number: u8, change: fn(&mut Alert, AtLeastOne<Reference>)| {
        let mut alert = first.clone();
        alert.identifier = Name::new(&format!("HANSHO-20261123-000{number}")).unwrap();
        alert.sent = Time::parse(&format!("2026-11-23T09:0{number}:00+09:00")).unwrap();
        let of_first = Reference {
            sender: first.sender.clone(),
            identifier: first.identifier.clone(),
            sent: first.sent.clone(),
        };
        change(&mut alert, of_first.into());
        alert
    };
    vec![
        first.clone(),
        next(2, |alert, first| {
            alert.kind = Kind::Update(first);
            alert.infos[0].response_types = vec![ResponseType::AllClear];
            alert.infos[0].urgency = Urgency::Past;
        }),
        next(3, |alert, first| {
            alert.kind = Kind::Cancel(first);
            alert.infos.clear();
            alert.scope = Scope::Private { addresses: alert.scope.addresses()[0].clone().into() };
        }),
        next(4, |alert, _first| alert.status = Status::Exercise),
        next(5, |alert, _first| {
            let restriction = Text::new("消防団員のみ").unwrap();
            alert.scope = Scope::Restricted { restriction, addresses: None };
        }),
    ]
}

fn feed_of(alerts: &[Alert]) -> String {
    let feed = Feed {
        id: Uri::new("tag:hansho.example.jp,2026:alerts").unwrap(),
        title: Text::new("いわき市").unwrap(),
        author: Text::new("いわき市消防本部").unwrap(),
        here: Uri::new("https://hansho.example.jp/feed").unwrap(),
        authority: Name::new("hansho.example.jp").unwrap(),
        status: Status::Actual,
    };
    let entries = alerts.iter().filter_map(|alert| {
        let link = format!("https://hansho.example.jp/cap/{}", alert.identifier.as_str());
        feed.entry(alert, Uri::new(&link).unwrap()).ok()
    });
    let entries: Vec<_> = entries.collect();
    assert_eq!(entries.len(), 2, "what is for everybody, in earnest");
    feed.write("2026-11-23T00:05:00Z".parse().unwrap(), &entries)
}

#[test]
fn the_schema_of_the_standard_and_a_feed_reader_are_content_with_what_we_write() {
    let Some(shared) = shared() else { return };
    let Some(python) = python() else { return };
    let folder = tempfile::tempdir().unwrap();
    let mut alerts = ours();
    let feed = feed_of(&alerts);
    // What others wrote and we take, written anew.
    let documents = fs::read_dir(&shared).unwrap().map(|entry| entry.unwrap().path());
    alerts.extend(documents.filter_map(|path| read(&fs::read(path).unwrap()).ok()));
    assert!(alerts.len() > 20, "{} alerts", alerts.len());
    let feed_path = folder.path().join("feed.xml");
    fs::write(&feed_path, feed).unwrap();
    let mut peer = script(python, "cap_read.py");
    peer.arg(shared.join("CAP-v1.2.xsd")).arg(&feed_path);
    for (index, alert) in alerts.iter().enumerate() {
        let path = folder.path().join(format!("{index}.xml"));
        fs::write(&path, write(alert)).unwrap();
        peer.arg(path);
    }
    let output = peer.output().unwrap();
    let (said, failed) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{said}{failed}");
}
