//! The telephone side of the small house: callers, and phones that take each call at once.

use hansho_core::CallPhase;
use hansho_model::{
    CallEnd, CallFact, CallOffer, CallRef, CallerLocation, DegreesE7, Input, KeyId, LocationFault,
    LocationMark, LocationShape, LocationSource, MetresU32, Position, Sealed,
};
use jiff::SignedDuration;

use super::{House, sealed};

/// Somewhere in Onahama, in units of 1e-7 degree.
const ONAHAMA: (i32, i32) = (369_755_000, 1_408_866_000);

impl House {
    /// Somebody calls 119: `mobile` with a circle, `cell` with a wide one, `withheld`, `unread`
    /// with a place that cannot be read, `nowhere` without one.
    pub(crate) fn ring(&self, call: &str, what: &str) {
        let mut location = CallerLocation {
            source: LocationSource::Value,
            shape: Some(LocationShape::Circle),
            centre: Position::new(DegreesE7::from_e7(ONAHAMA.0), DegreesE7::from_e7(ONAHAMA.1)),
            radius: Some(MetresU32(if what == "cell" { 1_200 } else { 42 })),
            confidence: Some(95),
            method: if what == "cell" { "Cell" } else { "GPS" }.to_owned(),
            at: self.now().checked_sub(SignedDuration::from_secs(14)).ok(),
            civic: None,
            refused: None,
            marks: if what == "cell" { vec![LocationMark::Wide] } else { Vec::new() },
        };
        if what == "unread" {
            (location.shape, location.centre, location.radius) = (None, None, None);
            (location.refused, location.at) = (Some(LocationFault::Xml), None);
        }
        let locations = if what == "nowhere" { Vec::new() } else { vec![location] };
        let number = "+819000000001";
        let raw = Sealed { key: KeyId(1), bytes: b"INVITE".to_vec() };
        let offer = CallOffer {
            number: Some(sealed(8, number)),
            withheld: what == "withheld",
            service: "sos".to_owned(),
            locations,
            peer: raw.clone(),
            raw,
        };
        self.said(call, CallFact::Offered(Box::new(offer)));
    }

    /// The caller hangs up, if that has not been said yet.
    pub(crate) fn hang_up(&self, call: &str) {
        let name = CallRef(call.to_owned());
        let phase = self.with(|state| state.calls().get(&name).map(|each| each.phase));
        let fact = match phase {
            Some(CallPhase::Ringing | CallPhase::Connecting) => CallFact::Abandoned,
            Some(CallPhase::Connected) => CallFact::Ended { by: CallEnd::Caller },
            Some(CallPhase::Abandoned | CallPhase::Over) | None => return,
        };
        self.said(call, fact);
    }

    /// Each seat's phone takes what was answered.
    pub(crate) fn take_up(&self) {
        let waiting: Vec<(String, String)> = self.with(|state| {
            let calls =
                state.calls().iter().filter(|(_, call)| call.phase == CallPhase::Connecting);
            calls
                .filter_map(|(name, call)| {
                    let answer = call.answer.as_ref()?;
                    Some((name.0.clone(), answer.position.clone()))
                })
                .collect()
        });
        for (call, position) in waiting {
            self.said(&call, CallFact::Connected { position });
        }
    }

    /// What the time of the house has made due.
    pub(crate) fn catch_up(&self) {
        if self.with(|state| state.next_deadline().is_some_and(|due| due <= self.now())) {
            drop(self.run(&Input::Tick));
        }
    }
}
