use jiff::tz::Offset;
use proptest::prelude::*;

use super::atom::{Entry, Feed, Withheld};
use super::*;
use crate::sip::decimal::Decimal;

const GOOD: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<alert xmlns="urn:oasis:names:tc:emergency:cap:1.2">
<identifier>HANSHO-20261123-0001</identifier>
<sender>alert@hansho.example.jp</sender>
<sent>2026-11-23T08:45:00+09:00</sent>
<status>Actual</status>
<msgType>Update</msgType>
<source>desk 3</source>
<scope>Restricted</scope>
<restriction>消防団員のみ</restriction>
<addresses>one@hansho.example.jp "第1分団 班長"</addresses>
<code>x</code>
<note>remark</note>
<references>alert@hansho.example.jp,HANSHO-20261123-0000,2026-11-22T23:40:00-00:00</references>
<incidents>2026-17 "平 1"</incidents>
<info><language>ja-JP</language><category>Fire</category><event>建物火災</event><responseType>Execute</responseType><urgency>Immediate</urgency><severity>Severe</severity><certainty>Observed</certainty><audience>団員</audience><eventCode><valueName>own</valueName><value>F1</value></eventCode><effective>2026-11-23T08:45:00+09:00</effective><onset>2026-11-23T08:40:00+09:00</onset><expires>2026-11-23T12:45:00+09:00</expires><senderName>いわき市消防本部</senderName><headline>【火災出動】</headline><description>出動 第1分団。</description><instruction>集合</instruction><web>https://hansho.example.jp/1</web><contact>119</contact><parameter><valueName>p</valueName><value></value></parameter><resource><resourceDesc>map</resourceDesc><mimeType>image/png</mimeType><size>4</size><uri>map.png</uri><derefUri>AAAA</derefUri><digest>0123456789abcdef0123456789abcdef01234567</digest></resource><area><areaDesc>平</areaDesc><polygon>37,140 37,141 38,141 37,140</polygon><circle>37.0505,140.8876 0.5</circle><geocode><valueName>JIS_X0402</valueName><value>07204</value></geocode><altitude>100</altitude><ceiling>300.5</ceiling></area></info>
</alert>
"#;

fn said<T>(read: Result<T, CapFault>) -> String {
    read.map_or_else(|fault| fault.to_string(), |_read| "taken".to_owned())
}

/// The good alert, with one thing put for another.
fn with(old: &str, new: &str) -> String {
    assert!(GOOD.contains(old), "{old}");
    GOOD.replacen(old, new, 1)
}

fn run(old: &str, new: &str) -> String {
    said(read(with(old, new).as_bytes()))
}

/// What the schema says, and what the standard: the second column is of its text alone.
fn both(old: &str, new: &str) -> (bool, String) {
    let document = Document::read(with(old, new).as_bytes()).unwrap();
    let accepted = said(document.alerts.first().unwrap().accept());
    (document.schema().is_ok(), accepted)
}

#[test]
fn a_good_alert_is_taken_whole_and_written_as_it_was() {
    let alert = read(GOOD.as_bytes()).unwrap();
    let written = write(&alert);
    let plain = |xml: &str| xml.replace('\n', "").replace("&quot;", "\"");
    assert_eq!(plain(&written), plain(GOOD));
    assert_eq!(read(written.as_bytes()), Ok(alert.clone()));
    assert_eq!(
        alert.scope.addresses().iter().map(Item::as_str).collect::<Vec<_>>(),
        ["one@hansho.example.jp", "第1分団 班長"]
    );
    assert_eq!(alert.kind.references()[0].sent.at(), "2026-11-22T23:40:00Z".parse().unwrap());
    let heights = alert.infos[0].areas[0].heights.unwrap();
    assert_eq!(heights.ceiling_ft(), Decimal::parse("300.5").ok());
}

#[test]
fn a_document_is_read_however_it_is_written() {
    let utf16 = |unit: fn(u16) -> [u8; 2], mark: bool| {
        let text = with("UTF-8", "UTF-16");
        let mark = mark.then_some(0xFEFF);
        mark.into_iter().chain(text.encode_utf16()).flat_map(unit).collect::<Vec<u8>>()
    };
    let prefixed = GOOD
        .replace("</", "\u{1}")
        .replace('<', "<c:")
        .replace('\u{1}', "</c:")
        .replace("<c:?", "<?")
        .replace("xmlns=", "xmlns:c=");
    let same = [
        format!("\u{FEFF}{GOOD}").into_bytes(),
        utf16(u16::to_le_bytes, true),
        utf16(u16::to_be_bytes, true),
        utf16(u16::to_le_bytes, false),
        utf16(u16::to_be_bytes, false),
        prefixed.into_bytes(),
        with("<event>建物火災", "<!-- < --><event><![CDATA[建物]]>火<!-- & -->&#x707D;")
            .into_bytes(),
        with(">2026-11-23T12:45:00+09:00", "> 2026-11-23T12:45:00+09:00\n").into_bytes(),
        with("<identifier>", "<?p <!DOCTYPE a> ?><identifier>").into_bytes(),
        GOOD.replace('\n', "\r\n").into_bytes(),
    ];
    let good = read(GOOD.as_bytes());
    assert!(good.is_ok());
    for document in same {
        assert_eq!(read(&document), good, "{}", document.escape_ascii());
    }
    let declared = with("UTF-8", "ISO-8859-1");
    let latin: Vec<u8> = declared.chars().map(|c| u8::try_from(c).unwrap_or(0xE9)).collect();
    let event = read(&latin).unwrap().infos[0].event.clone();
    assert_eq!(event.as_str(), "éééé");
}

#[test]
fn what_is_no_document_of_ours_is_refused_by_name() {
    let refused = |text: &str| said(read(text.as_bytes()));
    assert_eq!(refused(""), "no well-formed XML, line 1");
    assert_eq!(refused("<alert>"), "no well-formed XML, line 1");
    assert_eq!(refused("<!DOCTYPE alert><alert/>"), "a document type declaration");
    assert_eq!(CapFault::Doctype.remedy(), "leave the document type declaration out");
    let laughs = r#"<?xml version="1.0"?><!DOCTYPE a [<!ENTITY a "ha"><!ENTITY b SYSTEM "file:///etc/passwd">]><alert>&a;&b;</alert>"#;
    assert_eq!(refused(laughs), "a document type declaration");
    assert_eq!(run("remark", "&b;"), "no well-formed XML, line 13");
    assert_eq!(run("UTF-8", "ISO-2022-JP"), "in the encoding `ISO-2022-JP`");
    assert_eq!(run("remark", "&#27;"), "bytes or characters that no document can have");
    let twice = "cap:1.2\" xmlns=\"urn:oasis:names:tc:emergency:cap:1.1";
    assert_eq!(run("cap:1.2", twice), CapFault::Namespaces.to_string());
    assert_eq!(run("<note>", "<note xmlns:q=\"\">"), CapFault::Namespaces.to_string());
    assert_eq!(refused("<alerts/>"), "the root is `alerts`, which is no alert");
    assert_eq!(refused("<alert/>"), "of the namespace ``, which is not that of CAP 1.2");
    assert_eq!(
        run("cap:1.2", "cap:1.1"),
        "of the namespace `urn:oasis:names:tc:emergency:cap:1.1`, which is not that of CAP 1.2"
    );
    let comments = "<!---->".repeat(140_000);
    assert_eq!(
        refused(&format!("<a>{comments}</a>")),
        "more than 131072 elements, texts and comments"
    );
    let deep = "<a>".repeat(DEPTH_MAX + 1) + &"</a>".repeat(DEPTH_MAX + 1);
    assert_eq!(refused(&deep), format!("more than {DEPTH_MAX} elements in each other"));
}

#[test]
fn a_document_at_the_limit_is_read_and_one_beyond_is_not() {
    let sized = |size: usize| with("remark", &"x".repeat(size + 6 - GOOD.len()));
    assert_eq!(said(read(sized(DOCUMENT_SIZE_MAX).as_bytes())), "taken");
    assert_eq!(
        said(read(sized(DOCUMENT_SIZE_MAX + 1).as_bytes())),
        "1048577 bytes, where at most 1048576 are read"
    );
}

#[test]
fn what_the_schema_says_is_held_to() {
    let schema = |old, new, fault: &str| assert_eq!(both(old, new), (false, fault.to_owned()));
    schema("<sender>", "<sender xml:lang='ja'>", "`sender` has the attribute `lang`");
    schema("<info>", "<info>x", "`info` has text between its elements");
    schema("<event>建物火災</event>", "", "`info` has no `event` where it belongs");
    schema("<category>Fire</category>", "", "`info` has no `category` where it belongs");
    schema("</areaDesc>", "</areaDesc><x/>", "`x` is not expected at its place in `area`");
    schema("remark", "<b>r</b>", "`b` is not expected at its place in `note`");
    schema("<value>F1</value>", "", "`eventCode` has no `value` where it belongs");
    let after = "</language><language>ja</language>";
    schema("</language>", after, "`info` has no `category` where it belongs");
    schema(
        "<note>",
        "<scope>Public</scope><note>",
        "`scope` is not expected at its place in `alert`",
    );
    let foreign = "<Signature xmlns='urn:x'/></alert>";
    schema("</alert>", foreign, "`Signature` is not expected at its place in `alert`");
    for word in ["Critical", "severe", " Severe", "Severe\n", ""] {
        let fault = format!("`severity` is `{word}`, which is no word of its list");
        schema("Severe", word, &fault);
    }
    for time in [
        "2026-11-23T08:45:00Z",
        "2026-11-23T08:45:00",
        "2026-11-23T08:45:00.5+09:00",
        "2026-11-23T08:45:00,09:00",
        "2026-02-29T08:45:00+09:00",
        "2026-11-23T25:45:00+09:00",
        "2026-11-23T08:45:60+09:00",
        "2026-11-23T08:45:00+14:01",
        "2026-11-23 08:45:00+09:00",
        "0000-11-23T08:45:00+09:00",
        "",
    ] {
        let fault =
            format!("`sent` is `{time}`, which is no time such as 2025-11-23T08:45:00+09:00");
        schema("2026-11-23T08:45:00+09:00", time, &fault);
    }
    schema("ja-JP", "ja_JP", "`language` is `ja_JP`, which is no tag of a language");
    schema("map.png", "a%2", "`uri` is `a%2`, which is no URI");
    schema("<size>4", "<size>4 kB", "`size` is `4 kB`, which is no whole number");
    schema("<altitude>100", "<altitude>1e2", "`altitude` is `1e2`, which is no decimal number");
}

#[test]
fn what_the_schema_forgives_the_text_does_not() {
    let text = |old, new, fault: &str| assert_eq!(both(old, new), (true, fault.to_owned()));
    let name = "with a space, a comma, `<` or `&`";
    for bad in ["A 1", "A,1", "A&lt;1", "A&amp;1", "A\u{3000}1"] {
        let shown = bad.replace("&lt;", "<").replace("&amp;", "&");
        let fault = format!("`identifier` is `{shown}`, {name}");
        text("HANSHO-20261123-0001", bad, &fault);
    }
    text("HANSHO-20261123-0001", "", "`identifier` is empty");
    text("alert@hansho.example.jp", " ", &format!("`sender` is ` `, {name}"));
    text("消防団員のみ", " ", "`Restricted` without `restriction`");
    text("<restriction>消防団員のみ</restriction>", "", "`Restricted` without `restriction`");
    let private = ">Private</scope><addresses/><note>remark</note>";
    let without = GOOD.find(">Restricted").unwrap()..GOOD.find("<references>").unwrap();
    text(GOOD.get(without).unwrap(), private, "`Private` without `addresses`");
    let references = "alert@hansho.example.jp,HANSHO-20261123-0000,2026-11-22T23:40:00-00:00";
    text(references, " ", "`Update` without `references`");
    for bad in ["a,b", "a,b,2026-11-22T23:40:00-00:00,c", "a,,2026-11-22T23:40:00-00:00", "a,b,c"] {
        let fault = format!("`{bad}` in `references` is no sender,identifier,sent");
        text(references, bad, &fault);
    }
    let quotes = "a quotation mark that is not closed, or stands inside an item";
    for bad in ["\"a", "a\"b", "\"a\"b", "\"\""] {
        text("one@hansho.example.jp", bad, &format!("`addresses` has {quotes}"));
    }
    text("建物火災", "\n", "`event` is empty");
    text("<areaDesc>平", "<areaDesc>", "`areaDesc` is empty");
    text("<valueName>own", "<valueName>", "`valueName` is empty");
    let expires = ">2026-11-23T12:45:00+09:00";
    text(expires, ">2026-11-23T08:44:59+09:00", "expires before it takes effect");
    text(expires, ">2026-11-22T23:45:00-00:00", "taken");
    text("2026-11-23T08:45:00+09:00", "2026-11-23T08:45:00+00:00", "taken");
    text("ja-JP", "ja-x-yasashii", "taken");
    text("<size>4", "<size>-4", "`size` is `-4`, which is no number of bytes");
    text("AAAA", "AAA", "`derefUri` is `AAA`, which is no base64");
    text("AAAA", "A A=\nA", "`derefUri` is `A A=\nA`, which is no base64");
    let digest = "0123456789abcdef0123456789abcdef01234567";
    text(digest, "abc", "`digest` is `abc`, which is no SHA-1 of 40 digits");
    text("https://hansho.example.jp/1", "a b", "`web` is `a b`, which is no URI");
}

#[test]
fn shapes_are_closed_and_on_earth() {
    let polygon = |points: &str| both("37,140 37,141 38,141 37,140", points);
    let text = |fault: &str| (true, fault.to_owned());
    assert_eq!(polygon("37,140 37,141 38,141 39,140"), text("a polygon of 4 points that is open"));
    assert_eq!(polygon("37,140 37,141 37,140"), text("a polygon of 3 points that is closed"));
    assert_eq!(polygon("37,140 37,141 38,141 37.0,140.00"), text("taken"));
    assert_eq!(
        polygon("140,37 141,37 141,38 140,37"),
        text("`140,37` in `polygon` is no latitude,longitude; it would be the other way round")
    );
    for place in ["91,181", "37", "37;140", "37,140,1", "3.7e1,140", "NaN,140", "37, 140"] {
        let points = format!("{place} 37,141 38,141 {place}");
        let shown = place.split(' ').next().unwrap();
        let fault = format!("`{shown}` in `polygon` is no latitude,longitude");
        assert_eq!(polygon(&points), text(&fault));
    }
    let circle = |circle: &str| both("37.0505,140.8876 0.5", circle);
    assert_eq!(circle("37.0505,140.8876 0"), text("taken"));
    assert_eq!(circle("-90,-180\t20000"), text("taken"));
    for bad in ["37.0505,140.8876 -1", "37.0505,140.8876", "37.0505,140.8876 1 km", "", "37,140 x"]
    {
        let fault = format!("`{bad}` is no circle: latitude,longitude radius");
        assert_eq!(circle(bad), text(&fault));
    }
    let ceiling = text("`ceiling` without `altitude`, or below it");
    assert_eq!(both("<altitude>100</altitude>", ""), ceiling);
    assert_eq!(both("<altitude>100", "<altitude>301"), ceiling);
    assert_eq!(both("<ceiling>300.5</ceiling>", ""), text("taken"));
    let huge = "<altitude>99999999999999";
    let fault = "`altitude` is `99999999999999`, which is no height in feet";
    assert_eq!(both("<altitude>100", huge), text(fault));
}

#[test]
fn what_is_left_out_has_its_own_meaning() {
    let bare = r#"<alert xmlns="urn:oasis:names:tc:emergency:cap:1.2"><identifier>a</identifier><sender>b</sender><sent>2026-11-23T08:45:00+09:00</sent><status>Draft</status><msgType>Alert</msgType><scope>Public</scope><restriction/><addresses/><note/><references/><info><language/><category>Met</category><event>x</event><urgency>Past</urgency><severity>Minor</severity><certainty>Likely</certainty><headline/><web/></info></alert>"#;
    let alert = read(bare.as_bytes()).unwrap();
    assert_eq!(alert.infos[0].language, Language::unsaid());
    assert_eq!((alert.infos[0].web.as_ref(), alert.note.as_ref()), (None, None));
    assert_eq!(alert.scope, Scope::Public { addresses: None });
    assert_eq!(alert.kind, Kind::Alert(Vec::new()));
    assert!(read(GOOD.replace("Update", "Alert").as_bytes()).is_ok(), "news may name others");
}

#[test]
fn a_signature_is_seen_and_may_hold_anything() {
    let signature = "<Signature xmlns=\"http://www.w3.org/2000/09/xmldsig#\"><x y=\"z\">v</x></Signature></alert>";
    let document = Document::read(with("</alert>", signature).as_bytes()).unwrap();
    let alert = document.alerts.first().unwrap();
    assert!(alert.signed && alert.accept().is_ok());
    assert!(!Document::read(GOOD.as_bytes()).unwrap().alerts[0].signed);
}

#[test]
fn a_wrapper_holds_alerts_and_agrees_with_them() {
    let (_declaration, alert) = GOOD.split_once('\n').unwrap();
    let wrap = |status: &str, alerts: &str| {
        format!(
            "<d:EDXLDistribution xmlns:d=\"urn:oasis:names:tc:emergency:EDXL:DE:1.0\"><d:distributionID>1</d:distributionID><d:distributionStatus>{status}</d:distributionStatus><d:contentObject><d:xmlContent><d:embeddedXMLContent>{alerts}</d:embeddedXMLContent></d:xmlContent></d:contentObject></d:EDXLDistribution>"
        )
    };
    let wrapped = wrap("Actual", alert);
    assert_eq!(read(wrapped.as_bytes()), read(GOOD.as_bytes()));
    let document = Document::read(wrapped.as_bytes()).unwrap();
    assert!(document.is_wrapper() && document.version.is_none());
    assert_eq!(said(document.schema()), "the root is `EDXLDistribution`, which is no alert");
    assert_eq!(
        said(read(wrap("Exercise", alert).as_bytes())),
        "the wrapper is `Exercise`, the alert in it `Actual`"
    );
    let two = Document::read(wrap("Actual", &alert.repeat(2)).as_bytes()).unwrap();
    assert!(two.alerts.len() == 2 && two.alerts.iter().all(|alert| alert.accept().is_ok()));
    let count = |count| format!("{count} alerts in the wrapper, where one is expected");
    assert_eq!(said(read(wrap("Actual", &alert.repeat(2)).as_bytes())), count(2));
    assert_eq!(said(read(wrap("Actual", "").as_bytes())), count(0));
}

#[test]
fn addresses_of_the_web_are_those_that_libxml2_takes() {
    let good = [
        "",
        "x",
        "www.example.jp",
        "a b",
        "http://a:80/",
        "http://[::1]:80",
        "a%20",
        "#[x]",
        "a:b",
        "//x:1",
        "x:",
        "x:?",
        "a/b:c",
        "http://h:2147483647/",
        "http://",
        "x://u:p:q@h",
        "^",
        "火",
        "mailto:a",
        "urn:x:y",
        "?a?b",
    ];
    let bad = [
        "%",
        "a%2",
        "a%zz",
        "1:b",
        ":",
        "//x:y",
        "://x",
        "#a#b",
        "http://a:b/",
        "http://a:/",
        "http://[::1",
        "http://[::1]x/",
        "http://a/[x]",
        "?[x]",
        "http://h:2147483648/",
        "火:x",
        "http://u@v@w/",
        "x_y:z",
        "htt p://a",
        "http://[[]]/",
    ];
    for text in good {
        assert!(simple::is_any_uri(text), "{text}");
    }
    for text in bad {
        assert!(!simple::is_any_uri(text), "{text}");
    }
}

#[test]
fn times_are_of_a_place_and_to_the_second() {
    let shown = |at: &str, seconds: i32| {
        let offset = Offset::from_seconds(seconds).unwrap();
        Time::new(at.parse().unwrap(), offset).map(|time| time.to_string())
    };
    assert_eq!(
        shown("2026-11-22T23:45:00.9Z", 32_400).as_deref(),
        Some("2026-11-23T08:45:00+09:00")
    );
    assert_eq!(shown("2026-11-22T23:45:00Z", 0).as_deref(), Some("2026-11-22T23:45:00-00:00"));
    assert_eq!(
        shown("2026-11-22T23:45:00Z", -12_600).as_deref(),
        Some("2026-11-22T20:15:00-03:30")
    );
    assert_eq!(shown("2026-11-22T23:45:00Z", 33_539).as_deref(), Some("2026-11-23T09:03:00+09:18"));
    assert_eq!(shown("2026-11-22T23:45:00Z", 14 * 3_600 + 60), None);
    assert_eq!(shown("-000001-11-22T23:45:00Z", 0), None);
    assert_eq!(Time::parse("2026-11-23T24:00:00+09:00"), None);
}

fn feed() -> Feed {
    Feed {
        id: Uri::new("tag:hansho.example.jp,2026:alerts").unwrap(),
        title: Text::new("いわき市 <防災>").unwrap(),
        author: Text::new("いわき市消防本部").unwrap(),
        here: Uri::new("https://hansho.example.jp/feed?a=1&b=2").unwrap(),
        authority: Name::new("hansho.example.jp").unwrap(),
        status: Status::Actual,
    }
}

fn public() -> Alert {
    let mut alert = read(GOOD.as_bytes()).unwrap();
    alert.scope = Scope::Public { addresses: None };
    alert
}

fn entry(alert: &Alert) -> Result<Entry, Withheld> {
    feed().entry(alert, Uri::new("https://hansho.example.jp/cap/1").unwrap())
}

#[test]
fn a_feed_holds_what_everybody_may_read() {
    let updated = "2026-11-23T00:00:00Z".parse().unwrap();
    let mut older = public();
    older.identifier = Name::new("訓1").unwrap();
    older.sent = Time::parse("2026-11-23T08:44:00+09:00").unwrap();
    older.infos.clear();
    let entries = [entry(&older).unwrap(), entry(&public()).unwrap()];
    assert_eq!(
        feed().write(updated, &entries),
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>
<feed xmlns=\"http://www.w3.org/2005/Atom\">
<id>tag:hansho.example.jp,2026:alerts</id>
<title>いわき市 &lt;防災&gt;</title>
<updated>2026-11-23T00:00:00Z</updated>
<author>
<name>いわき市消防本部</name>
</author>
<link rel=\"self\" type=\"application/atom+xml\" href=\"https://hansho.example.jp/feed?a=1&amp;b=2\"/>
<entry xml:lang=\"ja-JP\">
<id>tag:hansho.example.jp,2026-11-23:HANSHO-20261123-0001</id>
<title>【火災出動】</title>
<updated>2026-11-23T08:45:00+09:00</updated>
<link rel=\"alternate\" type=\"application/cap+xml\" href=\"https://hansho.example.jp/cap/1\"/>
<summary>出動 第1分団。</summary>
</entry>
<entry>
<id>tag:hansho.example.jp,2026-11-23:%E8%A8%931</id>
<title>いわき市 &lt;防災&gt;</title>
<updated>2026-11-23T08:44:00+09:00</updated>
<link rel=\"alternate\" type=\"application/cap+xml\" href=\"https://hansho.example.jp/cap/1\"/>
</entry>
</feed>
"
    );
    let many = vec![entries[0].clone(); ENTRY_COUNT_MAX + 1];
    let count = |entries| feed().write(updated, entries).matches("<entry").count();
    assert_eq!(count(&many[1..]), ENTRY_COUNT_MAX);
    assert_eq!(count(&many), ENTRY_COUNT_MAX);
    assert_eq!(count(&[]), 0);
}

#[test]
fn a_feed_holds_nothing_else() {
    let restricted = read(GOOD.as_bytes()).unwrap();
    assert_eq!(entry(&restricted), Err(Withheld::Scope(ScopeWord::Restricted)));
    for status in [Status::Exercise, Status::System, Status::Test, Status::Draft] {
        let mut alert = public();
        alert.status = status;
        assert_eq!(entry(&alert), Err(Withheld::Status(status)));
    }
    let mut alert = public();
    let references = AtLeastOne::new(alert.kind.references().to_vec()).unwrap();
    alert.kind = Kind::Ack(references);
    assert_eq!(entry(&alert), Err(Withheld::Kind(MsgType::Ack)));
}

/// What somebody types, markup and marks of XML among it.
fn texts() -> impl Strategy<Value = Text> {
    let pieces = ["<", "&amp;", "]]>", "\r\n", "\t", "\"", "火事", "x", " ", "\u{85}", "🔥"];
    let pieces = prop::collection::vec(prop::sample::select(pieces.to_vec()), 1..8);
    pieces.prop_filter_map("blank", |pieces| Text::new(&pieces.concat()))
}

fn times() -> impl Strategy<Value = Time> {
    (0_i64..4_102_444_800, -840_i32..=840).prop_map(|(second, minutes)| {
        let offset = Offset::from_seconds(minutes * 60).unwrap();
        Time::new(jiff::Timestamp::from_second(second).unwrap(), offset).unwrap()
    })
}

fn points() -> impl Strategy<Value = Point> {
    let degree = 1_000_000_000_i64;
    (-90 * degree..=90 * degree, -180 * degree..=180 * degree)
        .prop_map(|(lat, lon)| Point::new(Decimal::from_e9(lat), Decimal::from_e9(lon)).unwrap())
}

fn areas() -> impl Strategy<Value = Area> {
    let ring = prop::collection::vec(points(), 3..6).prop_map(|mut ring| {
        ring.push(ring[0]);
        Polygon::new(ring).unwrap()
    });
    let circle = (points(), 0_i64..=i64::MAX)
        .prop_map(|(centre, radius)| Circle::new(centre, Decimal::from_e9(radius)).unwrap());
    let heights = (any::<i64>(), prop::option::of(any::<i64>())).prop_map(|(low, high)| {
        Heights::new(Decimal::from_e9(low.max(-i64::MAX)), high.map(Decimal::from_e9))
    });
    let pairs = (texts(), texts())
        .prop_map(|(name, value)| Pair { name, value: value.as_str().to_owned() });
    let many = |size| 0..size;
    (
        texts(),
        prop::collection::vec(ring, many(3)),
        prop::collection::vec(circle, many(3)),
        prop::collection::vec(pairs, many(3)),
        heights,
    )
        .prop_map(|(description, polygons, circles, geocodes, heights)| Area {
            description,
            polygons,
            circles,
            geocodes,
            heights,
        })
}

fn alerts() -> impl Strategy<Value = Alert> {
    let items = prop::collection::vec("[^\"\\p{C}]{0,6}[^\"\\p{C}\\p{Z}]", 0..4);
    let items = items.prop_map(|items| {
        AtLeastOne::new(items.iter().map(|item| Item::new(item.trim()).unwrap()).collect())
    });
    let names = "[!-%'-+\\-./-;=-~]{1,20}".prop_map(|name| Name::new(&name).unwrap());
    let kind = 0..Status::ALL.len();
    (names, times(), items, kind, prop::collection::vec(areas(), 0..3), texts(), texts()).prop_map(
        |(identifier, sent, items, word, areas, text, other)| {
            let mut alert = public();
            let reference = AtLeastOne::from(Reference {
                sender: alert.sender.clone(),
                identifier: identifier.clone(),
                sent: sent.clone(),
            });
            alert.kind = match MsgType::ALL[word] {
                MsgType::Alert => Kind::Alert(Vec::new()),
                MsgType::Update => Kind::Update(reference),
                MsgType::Cancel => Kind::Cancel(reference),
                MsgType::Ack => Kind::Ack(reference),
                MsgType::Error => Kind::Error(reference),
            };
            alert.scope = match (&items, word) {
                (Some(addresses), 0) => Scope::Private { addresses: addresses.clone() },
                (addresses, 1) => Scope::Public { addresses: addresses.clone() },
                (addresses, _) => {
                    Scope::Restricted { restriction: text.clone(), addresses: addresses.clone() }
                }
            };
            alert.identifier = identifier;
            alert.status = Status::ALL[word];
            alert.incidents = items;
            alert.infos[0].period = Period::new(Some(sent.clone()), Some(sent.clone())).unwrap();
            alert.infos[0].description = Some(text);
            alert.infos[0].event = other;
            alert.infos[0].areas = areas;
            alert.infos[0].response_types = ResponseType::ALL.to_vec();
            alert.infos[0].categories = AtLeastOne::new(Category::ALL.to_vec()).unwrap();
            alert.sent = sent;
            alert
        },
    )
}

proptest! {
    /// Whatever can be made is written so that it comes back the same, schema and all.
    #[test]
    fn what_is_written_is_taken(alert in alerts()) {
        let written = write(&alert);
        prop_assert_eq!(Document::read(written.as_bytes()).unwrap().schema(), Ok(()));
        prop_assert_eq!(read(written.as_bytes()), Ok(alert));
    }

    /// Any bytes put anywhere: no panic, and what is taken comes back the same.
    #[test]
    fn no_bytes_break_it(
        at in 0..GOOD.len(),
        cut in 0..40_usize,
        bytes in prop::collection::vec(any::<u8>(), 0..12),
        marks in prop::collection::vec(prop::sample::select(b"<>/&;\"'= !?-[]".as_slice()), 0..12),
    ) {
        for put in [bytes, marks] {
            let end = (at + cut).min(GOOD.len());
            let spoilt = [&GOOD.as_bytes()[..at], &put, &GOOD.as_bytes()[end..]].concat();
            if let Ok(alert) = read(&spoilt) {
                prop_assert_eq!(read(write(&alert).as_bytes()), Ok(alert));
            }
        }
    }
}
