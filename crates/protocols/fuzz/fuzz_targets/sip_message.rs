//! Any bytes as a datagram: read, written again, offered as a call. Checked: no panic, what is
//! written reads the same, the limits of an offer hold.
#![no_main]

use hansho_protocols::sip::message::Message;
use hansho_protocols::sip::offer;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(message) = Message::parse(bytes) else { return };
    let again = Message::parse(&message.encode());
    assert!(again.is_ok_and(|again| again.start == message.start && again.body == message.body));
    let offer = offer::offer(&message, true, String::new(), Vec::new());
    assert!(offer.service.len() <= 64 && offer.locations.len() <= 8);
    assert!(offer.number.is_none_or(|number| number.0.len() <= 64));
    for location in &offer.locations {
        assert!(location.method.len() <= 32);
        assert!(location.civic.as_ref().is_none_or(|civic| civic.0.len() <= 1_024));
        assert!(location.centre.is_none() || location.shape.is_some());
    }
    assert!(offer::call_ref(&message).0.len() <= 255);
});
