//! Documents with a caller's location, and what is made of them.

use hansho_model::{
    CallerLocation, LocationFault, LocationMark, LocationShape, LocationSource, Private,
};

use crate::sip::message::Message;
use crate::sip::offer;
use crate::sip::pidf::{self, Container};

const FLAT: &str = "srsName=\"urn:ogc:def:crs:EPSG::4326\"";
const METRE: &str = "uom=\"urn:ogc:def:uom:EPSG::9001\"";
const DEGREE: &str = "uom=\"urn:ogc:def:uom:EPSG::9102\"";

fn circle(place: &str, radius: &str) -> String {
    format!(
        "<s:Circle {FLAT}><g:pos>{place}</g:pos><s:radius {METRE}>{radius}</s:radius></s:Circle>"
    )
}

fn geopriv(info: &str) -> String {
    format!(
        "<p:geopriv><p:location-info>{info}</p:location-info><p:method>GPS</p:method></p:geopriv>"
    )
}

fn device(info: &str) -> String {
    let at = "<d:timestamp>2026-01-15T12:04:05.1234567+09:00</d:timestamp>";
    format!("<d:device>{}{at}</d:device>", geopriv(info))
}

fn presence(inner: &str) -> String {
    format!(
        "<presence xmlns=\"urn:ietf:params:xml:ns:pidf\" xmlns:d=\"urn:ietf:params:xml:ns:pidf:data-model\" \
         xmlns:p=\"urn:ietf:params:xml:ns:pidf:geopriv10\" xmlns:g=\"http://www.opengis.net/gml\" \
         xmlns:s=\"http://www.opengis.net/pidflo/1.0\" \
         xmlns:c=\"urn:ietf:params:xml:ns:pidf:geopriv10:civicAddr\" \
         xmlns:f=\"urn:ietf:params:xml:ns:geopriv:conf\">{inner}</presence>"
    )
}

/// What the core is told of a document that an INVITE carries.
fn location(document: &str) -> CallerLocation<Private<String>> {
    let text = format!(
        "INVITE urn:service:sos SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\nFrom: <sip:a@b>;tag=1\r\n\
         To: <urn:service:sos>\r\nCall-ID: 1\r\nCSeq: 1 INVITE\r\nGeolocation: <cid:l@c>\r\n\
         Content-ID: <l@c>\r\nContent-Type: application/pidf+xml\r\n\r\n{document}"
    );
    let message = Message::parse(text.as_bytes()).unwrap();
    let mut offer = offer::offer(&message, true, String::new(), Vec::new());
    assert_eq!(offer.locations.len(), 1);
    offer.locations.remove(0)
}

fn fault(info: &str) -> LocationFault {
    pidf::read(presence(&device(info)).as_bytes()).unwrap_err().fault
}

#[test]
fn a_circle_is_told_as_whole_numbers() {
    let info = circle("37.05041 140.88771", "17.2");
    let found = location(&presence(&device(&info)));
    assert_eq!(found.source, LocationSource::Value);
    assert_eq!(found.shape, Some(LocationShape::Circle));
    let centre = found.centre.unwrap();
    assert_eq!((centre.lat.e7(), centre.lon.e7()), (370_504_100, 1_408_877_100));
    assert_eq!(found.radius.unwrap().0, 18, "rounded up");
    assert_eq!(found.confidence, Some(95), "assumed when it does not say");
    assert_eq!(found.at.unwrap().to_string(), "2026-01-15T03:04:05.123456Z");
    assert_eq!((found.method.as_str(), found.refused, found.marks), ("GPS", None, Vec::new()));
}

#[test]
fn what_is_unknown_is_never_exact() {
    let nothing = location(&presence(&device(&circle("37.05 140.88", "0"))));
    assert_eq!((nothing.radius, nothing.confidence), (None, None));
    let point = format!("<g:Point {FLAT}><g:pos>37.05 140.88</g:pos></g:Point>");
    let point = location(&presence(&device(&point)));
    assert_eq!((point.shape, point.radius), (Some(LocationShape::Point), None));
    for (said, wanted) in [("68", Some(68)), ("unknown", None), ("101", None), ("89.5", Some(90))] {
        let info = circle("37.05 140.88", "18") + &format!("<f:confidence>{said}</f:confidence>");
        assert_eq!(location(&presence(&device(&info))).confidence, wanted, "{said}");
    }
    let local = device(&circle("37.05 140.88", "18")).replace("+09:00", "");
    assert_eq!(location(&presence(&local)).at, None, "without a zone there is no time");
}

#[test]
fn a_circle_around_each_shape_holds_it() {
    let ellipse = format!(
        "<s:Ellipse {FLAT}><g:pos>37.05 140.88</g:pos><s:semiMajorAxis {METRE}>120</s:semiMajorAxis>\
         <s:semiMinorAxis {METRE}>40</s:semiMinorAxis><s:orientation {DEGREE}>35</s:orientation></s:Ellipse>"
    );
    let arc = format!(
        "<s:ArcBand {FLAT}><g:pos>37.05 140.88</g:pos><s:innerRadius {METRE}>1000</s:innerRadius>\
         <s:outerRadius {METRE}>1554.5</s:outerRadius><s:startAngle {DEGREE}>20</s:startAngle>\
         <s:openingAngle {DEGREE}>120</s:openingAngle></s:ArcBand>"
    );
    for (info, shape, radius) in
        [(ellipse, LocationShape::Ellipse, 120), (arc, LocationShape::ArcBand, 1_555)]
    {
        let found = location(&presence(&device(&info)));
        assert_eq!((found.shape, found.radius.map(|r| r.0)), (Some(shape), Some(radius)));
    }
}

#[test]
fn what_cannot_be_used_is_named() {
    let point = |attributes: &str, place: &str| {
        format!("<g:Point {attributes}><g:pos>{place}</g:pos></g:Point>")
    };
    let tokyo = "srsName=\"urn:ogc:def:crs:EPSG::4301\"";
    let solid = "srsName=\"urn:ogc:def:crs:EPSG::4979\"";
    for (info, wanted) in [
        (point(tokyo, "37 140"), LocationFault::Crs),
        (point("", "37 140"), LocationFault::Crs),
        (point(solid, "37 140"), LocationFault::Number),
        (point(FLAT, "37"), LocationFault::Number),
        (point(FLAT, "37,140"), LocationFault::Number),
        (point(FLAT, "NaN 140"), LocationFault::Number),
        (point(FLAT, "91 140"), LocationFault::Range),
        (point(FLAT, "1e99 140"), LocationFault::Range),
        (format!("<g:Point {FLAT}/>"), LocationFault::Shape),
        (circle("37 140", "-1"), LocationFault::Number),
        (circle("37 140", "1").replace("9001", "9002"), LocationFault::Uom),
        (circle("37 140", "1").replace(METRE, ""), LocationFault::Uom),
        (point(FLAT, "37 140").replace("g:Point", "s:Point"), LocationFault::NoLocation),
        (String::new(), LocationFault::NoLocation),
        ("<c:civicAddress><c:A1> </c:A1></c:civicAddress>".to_owned(), LocationFault::NoLocation),
    ] {
        assert_eq!(fault(&info), wanted, "{info}");
    }
    let swapped = location(&presence(&device(&circle("140.88771 37.05041", "18"))));
    assert_eq!(swapped.refused, Some(LocationFault::Range));
    assert_eq!(swapped.marks, [LocationMark::LooksSwapped]);
    assert_eq!(swapped.centre, None, "never swapped for them");
    let other = presence("").replacen("pidf\"", "other\"", 1);
    assert_eq!(location(&other).refused, Some(LocationFault::Namespace));
    assert_eq!(location("<presence>").refused, Some(LocationFault::Xml));
}

#[test]
fn a_device_comes_before_a_tuple_and_a_person_last() {
    let first = geopriv(&circle("36 140", "1"));
    let inner = format!(
        "<d:person>{first}</d:person><tuple><status>{first}</status></tuple>{}{first}",
        device(&circle("37 140", "1"))
    );
    let found = pidf::read(presence(&inner).as_bytes()).unwrap();
    assert_eq!((found.container, found.more_locations), (Container::Device, true));
    // An empty one does not stand in the way, nor does a broken one.
    let inner = format!("{}{}<tuple>{first}</tuple>", device(""), device(&circle("99 140", "1")));
    let found = pidf::read(presence(&inner).as_bytes()).unwrap();
    assert_eq!((found.container, found.more_locations), (Container::Tuple, false));
}

#[test]
fn a_civic_address_stands_beside_a_broken_shape() {
    let civic = "<c:civicAddress><c:country>JP</c:country><c:HNO>21</c:HNO><c:A1>福島県</c:A1>\
                 <c:A3>いわき市</c:A3><c:A4>平</c:A4><c:XYZ>九</c:XYZ></c:civicAddress>";
    let found = location(&presence(&device(&(circle("99 140", "1") + civic))));
    assert_eq!(found.civic.unwrap().0, "福島県 いわき市 平 21 XYZ=九");
    assert_eq!((found.refused, found.centre), (Some(LocationFault::Range), None));
    let long = civic.replace('平', &"平".repeat(900));
    let found = location(&presence(&device(&long)));
    assert!(found.civic.unwrap().0.len() <= 1_024);
}
